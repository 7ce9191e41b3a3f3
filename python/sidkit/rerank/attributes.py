"""Attributes and numbers of items, read from tables and matched to the rows of a catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import checked, shown
from sidkit._extras import require
from sidkit._registry import nearest
from sidkit.data import Sequences
from sidkit.data.frames import to_polars
from sidkit.data.id_columns import is_id_type
from sidkit.errors import ConfigError, DataError

__all__ = ["ItemAttribute", "item_attribute", "item_numbers"]


@checked
@dataclass(frozen=True, eq=False)
class ItemAttribute:
    """Values of an attribute, such as brands or genres, for every item.

    Attributes:
        names: the distinct values, sorted.
        values: for every item, the places of its values in `names`; an item may have none or several.
    """

    names: tuple[Any, ...]
    values: Sequences

    @property
    def single(self) -> bool:
        """True if no item has several values."""
        return bool((self.values.lengths <= 1).all())

    def codes(self) -> npt.NDArray[np.int32]:
        """Return the first value of each item, int32 (items,), -1 for an item without one."""
        found = np.full(len(self.values), -1, np.int32)
        some = self.values.lengths > 0
        found[some] = self.values.values[self.values.offsets[:-1][some]]
        return found

    def has(self, name: Any) -> npt.NDArray[np.bool_]:
        """Return which items have a value, bool (items,).

        Raises:
            ConfigError: if no item has it; the message names the nearest value.
        """
        if not isinstance(name, (Real, *map(type, self.names))) or name not in self.names:
            hint = nearest(name, map(str, self.names)) if isinstance(name, str) else ""
            raise ConfigError(
                f"no item has the value {shown(name)}: expected one of {len(self.names)} values{hint}"
            )
        mask = np.zeros(len(self.values), bool)
        rows = np.repeat(np.arange(len(self.values)), self.values.lengths)
        mask[rows[self.values.values == self.names.index(name)]] = True
        return mask


@checked
def item_attribute(given: Any, item_ids: pl.Series, column: str | None = None) -> ItemAttribute:
    """Match an attribute to the rows of a catalogue.

    Args:
        given: a table with the column `item_id` and the attribute, in any form that
            `Dataset.from_frames` takes; or one value per item in the order of the catalogue, as a Series,
            array or list. A value may be a list of values; null is none. Rows of other items are ignored.
        item_ids: id of every item of the catalogue.
        column: the column of the attribute; None if the table has one besides `item_id`.

    Raises:
        ConfigError: if the column is missing or not clear.
        DataError: if an item has several rows, or there is not one value per item.
    """
    matched = _matched(given, item_ids, column)
    rows = pl.DataFrame({"row": np.arange(len(matched)), "value": matched})
    if isinstance(matched.dtype, pl.List | pl.Array):
        rows = rows.explode("value")
    rows = rows.drop_nulls("value").unique(["row", "value"], maintain_order=True)
    if isinstance(rows["value"].dtype, pl.Categorical | pl.Enum):
        rows = rows.with_columns(pl.col("value").cast(pl.String))
    names = rows["value"].unique().sort()
    codes = rows["value"].replace_strict(names, np.arange(len(names)), return_dtype=pl.Int32)
    lengths = np.bincount(rows["row"].to_numpy(), minlength=len(item_ids))
    return ItemAttribute(tuple(names.to_list()), Sequences.from_lengths(codes.to_numpy(), lengths))


@checked
def item_numbers(given: Any, item_ids: pl.Series, column: str | None = None) -> npt.NDArray[np.float64]:
    """Match a number to the rows of a catalogue, float64 (items,); null becomes 0.

    Args:
        given: as for `item_attribute`.
        item_ids: id of every item of the catalogue.
        column: as for `item_attribute`.

    Raises:
        ConfigError: as `item_attribute`.
        DataError: as `item_attribute`, and if a value is not a finite number.
    """
    matched = _matched(given, item_ids, column)
    if not (matched.dtype.is_numeric() or matched.dtype in (pl.Boolean, pl.Null)):
        raise DataError(f"values of items must be numbers, got {matched.dtype}. Cast the column.")
    numbers = matched.cast(pl.Float64).fill_null(0.0).to_numpy()
    if not np.isfinite(numbers).all():
        raise DataError("values of items must be finite: expected numbers, got NaN or infinity")
    return numbers


def _matched(given: Any, item_ids: pl.Series, column: str | None) -> pl.Series:
    """Return one value per item of the catalogue."""
    if not _is_table(given):
        values = _series(given)
        if len(values) != len(item_ids):
            raise DataError(
                f"an attribute has {len(values)} values: expected one for each of the {len(item_ids)} items "
                "of the catalogue. Pass a table with the column `item_id` to match them by id."
            )
        return values
    if not is_id_type(item_ids.dtype):
        raise DataError(
            f"`item_ids` have the wrong type: expected integers or strings, got {item_ids.dtype}."
        )
    table = to_polars(given, "attribute")
    name = _column(table, column)
    ids = table["item_id"]
    if isinstance(ids.dtype, pl.Categorical | pl.Enum):
        ids = ids.cast(pl.String)
    if ids.dtype.is_integer() != item_ids.dtype.is_integer():
        raise DataError(
            f"`item_id` of an attribute has the wrong type: expected {item_ids.dtype} as in the catalogue, "
            f"got {ids.dtype}. Cast the column."
        )
    if ids.is_duplicated().any():
        raise DataError(
            f"item {ids.filter(ids.is_duplicated())[0]!r} has several rows in a table of attributes: "
            "expected one row per item. Use a column of lists for several values."
        )
    kind = pl.Int128 if ids.dtype.is_integer() else pl.String
    known = pl.DataFrame({"item_id": item_ids.cast(kind)})
    attributes = pl.DataFrame({"item_id": ids.cast(kind), "value": table[name]})
    return known.join(attributes, on="item_id", how="left", maintain_order="left")["value"]


def _is_table(given: Any) -> bool:
    tables = (pl.DataFrame, pl.LazyFrame, Mapping)
    return isinstance(given, tables) or hasattr(given, "columns") or hasattr(given, "column_names")


def _series(given: Any) -> pl.Series:
    """Return a Series of pandas or Arrow, an array or a list as one of polars."""
    if isinstance(given, pl.Series):
        return given
    has_values = hasattr(given, "__iter__") or hasattr(given, "__array__")
    if isinstance(given, str) or not has_values or getattr(given, "ndim", 1) == 0:
        raise DataError(
            f"an attribute has the wrong form: expected a table, a Series, an array or a list, got "
            f"{type(given).__name__}"
        )
    package = type(given).__module__.partition(".")[0]
    if package == "pandas":
        require("pyarrow", extra="data")
        return pl.Series(pl.from_pandas(given))
    if package == "pyarrow":
        return pl.Series(given)
    values = given.tolist() if hasattr(given, "tolist") else list(given)
    if any(
        isinstance(part, list | tuple) for each in values if isinstance(each, list | tuple) for part in each
    ):
        raise DataError("values of an attribute are nested: expected a value or a list of values per item")
    try:
        return pl.Series(values=values, strict=False)
    except (TypeError, OverflowError, UnicodeEncodeError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"values of an attribute have the wrong form: expected numbers or texts, got {error}"
        ) from None


def _column(table: pl.DataFrame, column: str | None) -> str:
    if "item_id" not in table.columns:
        raise DataError(
            f"a table of attributes has no column `item_id`: expected one, got {', '.join(table.columns)}"
        )
    others = [name for name in table.columns if name != "item_id"]
    if column is None and len(others) == 1:
        return others[0]
    if column is None or column not in others:
        got = "None" if column is None else f"`{column}`{nearest(column, others)}"
        raise ConfigError(f"`column` must be one of {', '.join(others)}, got {got}")
    return column
