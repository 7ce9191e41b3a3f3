"""Catalogue of items, from which conditions on their columns select sets."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from sidkit._arguments import checked
from sidkit._core import ItemSet, SidLayout, Trie
from sidkit._registry import nearest
from sidkit.data.frames import to_polars
from sidkit.data.id_columns import check_distinct, check_id_column, find_rows
from sidkit.errors import DataError

__all__ = ["Catalogue"]

#: Sets of the latest conditions that are kept.
_KEPT_SETS = 256
_LOW_BITS = 16
_RESULT = "__allowed__"


@checked
class Catalogue:
    """Items and their columns, from which conditions select sets.

    The sets are arguments `allow` of `recommend`, of any recommender with these item ids. They combine with
    `&`, `|`, `^`, `-` and `~`.

        >>> table = {"item_id": ["a", "b", "c"], "price": [5, 30, None], "brand": ["X", "Y", "Y"]}
        >>> catalogue = Catalogue(table)
        >>> cheap = catalogue.where(pl.col("price") < 20)
        >>> cheap.item_ids.gather(cheap.items()).to_list()
        ['a']
        >>> catalogue.where("price < 20 OR brand = 'Y'"), ~cheap
        (<ItemSet: 3 of 3 items>, <ItemSet: 2 of 3 items>)

    Args:
        items: one row per item: `item_id`, unique, and any other columns, as a table of polars, pandas,
            pyarrow, DuckDB or another library with the Arrow C stream interface. Make a new catalogue when
            the values change, such as the stock.

    Attributes:
        items: the table, a polars DataFrame.

    Raises:
        DataError: if the table has no column `item_id` of distinct integers or strings.
    """

    def __init__(self, items: Any) -> None:
        frame = to_polars(items, "items")
        if "item_id" not in frame.columns:
            raise DataError(
                "`items` has no column `item_id`: expected it among its columns, "
                f"got {', '.join(frame.columns) or 'none'}. Rename the column of the ids."
            )
        ids = check_id_column(frame["item_id"], "item_id", "items")
        check_distinct(ids)
        self.items = frame.with_columns(ids)
        self._sets: OrderedDict[bytes, ItemSet] = OrderedDict()

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"Catalogue({len(self)} items; {', '.join(self.items.columns)})"

    @property
    def item_ids(self) -> pl.Series:
        """Ids of the items, polars Series (items,)."""
        return self.items["item_id"]

    def where(self, condition: pl.Expr | str) -> ItemSet:
        """Return the items for which a condition is true.

        A condition on a missing value (null) is neither true nor false: the item is not selected, unless the
        condition tests for it, as in `pl.col("brand").is_null()` or `brand IS NULL`. The set is computed once
        for each condition.

        Args:
            condition: a boolean polars expression of the columns, such as
                `(pl.col("stock") > 0) & (pl.col("brand") != "X")`, or the same in SQL:
                `"stock > 0 AND brand != 'X'"`.

        Raises:
            DataError: if a column does not exist, the text is not an SQL expression, or the result is not one
                boolean for each item.
        """
        expression = _expression(condition)
        self._check_columns(expression, quoted=isinstance(condition, str))
        key = _key(expression)
        if key is not None and key in self._sets:
            self._sets.move_to_end(key)
            return self._sets[key]
        chosen = self._trie.item_set(self._mask(expression).fill_null(False).arg_true().to_numpy())
        if key is not None:
            self._sets[key] = chosen
            if len(self._sets) > _KEPT_SETS:
                self._sets.popitem(last=False)
        return chosen

    def item_set(self, ids: Iterable[int | str]) -> ItemSet:
        """Return the set of the items with these ids; "12" matches the integer id 12.

        Raises:
            DataError: if an id is not in the catalogue; the message names it.
        """
        return self._trie.item_set(find_rows(ids, self.item_ids, self._rows, "item"))

    def _mask(self, expression: pl.Expr) -> pl.Series:
        try:
            found = self.items.with_columns(expression.alias(_RESULT))[_RESULT]
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            reason = str(error).partition("\n")[0]
            raise DataError(
                f"the condition cannot be evaluated: {reason}. Compare columns with values of their type."
            ) from error
        if found.dtype != pl.Boolean:
            raise DataError(
                "the condition has the wrong type: expected true or false for every item, got "
                f"{found.dtype}. Compare a column with a value."
            )
        return found

    def _check_columns(self, expression: pl.Expr, *, quoted: bool) -> None:
        for name in expression.meta.root_names():
            if name not in self.items.columns and not name.startswith("^"):
                hint = nearest(name, self.items.columns) or "."
                raise DataError(
                    f"the condition uses an unknown column: expected one of {', '.join(self.items.columns)}, "
                    f"got `{name}`{hint}" + " Write text in single quotes." * quoted
                )

    @cached_property
    def _rows(self) -> dict[int | str, int]:
        return {each: row for row, each in enumerate(self.item_ids.to_list())}

    @cached_property
    def _trie(self) -> Trie:
        """Trie whose items are the rows; it gives the sets."""
        rows, low = len(self), 1 << _LOW_BITS
        sizes = [rows] if rows <= low else [-(-rows // low), low]
        return Trie.build(np.arange(rows, dtype=np.uint64), SidLayout(sizes), item_ids=self.item_ids)


def _expression(condition: Any) -> pl.Expr:
    if isinstance(condition, pl.Expr):
        return condition
    if not isinstance(condition, str):
        raise DataError(
            "a condition has the wrong type: expected a polars expression or SQL text, got "
            f'{type(condition).__name__}. Write, for example, pl.col("price") < 20.'
        )
    try:
        return pl.sql_expr(condition)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            "the condition is not an SQL expression: expected text such as `price < 20 AND brand != 'X'`, "
            f"got `{condition}` ({error}). Correct it."
        ) from error


def _key(expression: pl.Expr) -> bytes | None:
    """Return a key under which the set of a condition is kept; None if it cannot be compared."""
    try:
        return bytes(expression.meta.serialize())
    except (pl.exceptions.PolarsError, TypeError, ValueError):
        return None
