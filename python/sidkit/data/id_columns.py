"""Columns of user and item ids: checks, conversion, and lookup of rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import check_argument, shown
from sidkit._integer_index import IntegerIndex
from sidkit.errors import DataError

__all__ = [
    "check_distinct",
    "check_id_column",
    "find_rows",
    "fits_int64",
    "id_column",
    "id_series",
    "is_id_type",
    "rows_of",
    "some",
    "unknown_items",
]

INTEGER = re.compile(r"-?[0-9]+")


def is_id_type(dtype: pl.DataType) -> bool:
    """Return whether a column of this type can hold ids: integers or strings."""
    return dtype.is_integer() or dtype == pl.String


def id_series(ids: pl.Series | Iterable[Any], name: str = "", *, what: str = "item ids") -> pl.Series:
    """Return ids as a Series.

    Raises:
        DataError: if they are neither all integers nor all strings.
    """
    if isinstance(ids, pl.Series):
        return ids.rename(name)
    given = list(ids)
    odd = [each for each in given if not (each is None or isinstance(each, str | Real | np.generic))]
    if odd:  # nested lists, which polars may follow without end
        raise DataError(f"{what} have the wrong type: expected integers or strings, got {shown(odd[0])}.")
    try:
        return pl.Series(name, given, strict=True)
    except (TypeError, OverflowError, UnicodeEncodeError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{what} have mixed types: expected all integers or all strings ({error}). "
            "Convert them to one type."
        ) from None


def id_column(ids: pl.Series | npt.ArrayLike) -> pl.Series:
    """Return ids of anything that NumPy converts to an array as a Series.

    Raises:
        DataError: if they are neither all integers nor all strings.
    """
    if isinstance(ids, pl.Series):
        return ids
    array = np.asarray(ids)
    if array.ndim == 0:
        raise DataError(f"item ids are invalid: expected one per item, got {shown(ids)}.")
    return id_series(array.tolist()) if array.dtype.kind in "OU" else pl.Series(values=array)


def fits_int64(dtype: pl.DataType) -> bool:
    """Return whether every value of a column of this type is an int64."""
    return dtype in (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)


def check_id_column(ids: pl.Series, column: str, table: str) -> pl.Series:
    """Check a column of ids, and convert categorical ids to strings.

    Raises:
        DataError: if the column is empty, has nulls, or holds neither integers nor strings.
    """
    if len(ids) == 0:
        raise DataError(f"`{table}` is empty: expected at least one row, got none. Add rows.")
    if isinstance(ids.dtype, pl.Categorical | pl.Enum):
        ids = ids.cast(pl.String)
    if not is_id_type(ids.dtype):
        raise DataError(
            f"column `{column}` of `{table}` has an unsupported type: expected integers or strings, "
            f"got {ids.dtype}. Cast the column before you pass or save the table."
        )
    if ids.null_count():
        rows = ids.is_null().arg_true()
        raise DataError(
            f"column `{column}` of `{table}` has missing ids: expected an id in every row, "
            f"got null in {len(rows)} rows, the first of them row {rows[0]}. Drop or fill these rows."
        )
    return ids


def check_distinct(ids: pl.Series) -> None:
    """Raise DataError if an item has several rows in `items`."""
    if ids.n_unique() == len(ids):
        return
    repeated = ids.filter(ids.is_duplicated()).unique(maintain_order=True)
    if len(repeated):
        raise DataError(
            f"`items` has repeated ids: expected one row per item, got several for {len(repeated)} ids, "
            f"such as {some(repeated)}. Keep one row of each."
        )


def unknown_items(interactions: pl.DataFrame, items: pl.DataFrame) -> pl.Series:
    """Return the distinct ids of `interactions` that are not in `items`, by first event."""
    given = interactions["item_id"].unique(maintain_order=True)
    given, known = _one_type(given, items["item_id"])
    return given.filter(~given.is_in(known.implode()))


def some(ids: pl.Series, count: int = 5) -> str:
    """Format the first few ids for a message."""
    return ", ".join(repr(each) for each in ids.head(count)) + (", …" if len(ids) > count else "")


def rows_of(values: pl.Series, ids: pl.Series, kind: str) -> npt.NDArray[np.int32]:
    """Return the row in `ids` of each value, int32 (n,).

    Raises:
        DataError: if a value is not among `ids`, or there are more than 2**31 - 1 of them.
    """
    if len(ids) > np.iinfo(np.int32).max:
        raise DataError(
            f"too many ids: expected at most {np.iinfo(np.int32).max} users and items, got {len(ids)}. "
            "Filter the data."
        )
    if len(values) and len(ids) and values.dtype.is_integer() != ids.dtype.is_integer():
        raise DataError(
            f"{kind} ids have the wrong type: expected {ids.dtype} as in the catalogue, got {values.dtype}. "
            "Cast one of them."
        )
    if fits_int64(values.dtype) and fits_int64(ids.dtype):
        found = IntegerIndex(ids.to_numpy()).rows(values.to_numpy())
        if len(found) and found.min() < 0:
            raise _unknown(values.filter(pl.Series(found < 0)), ids, kind)
        return found
    values, ids = _one_type(values, ids)
    table = pl.DataFrame({"id": ids}).with_row_index("row")
    joined = pl.DataFrame({"id": values}).join(table, on="id", how="left", maintain_order="left")["row"]
    if joined.null_count():
        raise _unknown(values.filter(joined.is_null()), ids, kind)
    return joined.cast(pl.Int32).to_numpy(writable=True)


def find_rows(
    ids: Iterable[int | str], known: pl.Series, rows: dict[int | str, int], kind: str
) -> npt.NDArray[np.int32]:
    """Return the rows of these ids, int32 (n,); text such as "12" matches the integer id 12.

    Raises:
        DataError: if an id is not a key of `rows`; the message names it.
    """
    given = list(check_argument("ids", ids, Iterable[Any]))
    if not all(isinstance(each, str | Integral) for each in given):
        wrong = next(each for each in given if not isinstance(each, str | Integral))
        raise DataError(f"{kind} ids are invalid: expected integers or strings, got {shown(wrong)}.")
    keys: list[int | str]
    if known.dtype.is_integer():
        keys = [int(each) if INTEGER.fullmatch(str(each)) else each for each in given]
    else:
        keys = [str(each) for each in given]
    missing = [each for each, key in zip(given, keys, strict=True) if key not in rows]
    if missing:
        raise DataError(
            f"{kind} {missing[0]!r} does not exist: expected an id of type {known.dtype} "
            f"such as {some(known, 3)}. Check the spelling and the type."
        )
    return np.array([rows[key] for key in keys], dtype=np.int32)


def _unknown(values: pl.Series, ids: pl.Series, kind: str) -> DataError:
    missing = values.unique(maintain_order=True)
    return DataError(
        f"{len(missing)} {kind} ids are unknown: expected ids such as {some(ids, 3)}, "
        f"got {some(missing, 3)}. Add them to the catalogue or leave them out."
    )


def _one_type(left: pl.Series, right: pl.Series) -> tuple[pl.Series, pl.Series]:
    # Integers may differ in width; strings are of one type already.
    return (left.cast(pl.Int128), right.cast(pl.Int128)) if left.dtype != right.dtype else (left, right)
