"""Columns of the items of a live catalogue."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit.data import Catalogue
from sidkit.errors import DataError

__all__ = ["ItemTable"]

Numbers = npt.NDArray[np.int64]

#: Changed rows that are kept apart before they are merged, at least; an eighth of the table in a larger one.
_SMALL = 4096
_NOT_A_ROW = -1


@dataclass(frozen=True, eq=False)
class _Part:
    """Rows that came together, with the number of the item of each."""

    frame: pl.DataFrame
    numbers: Numbers

    @cached_property
    def lock(self) -> threading.Lock:
        return threading.Lock()

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.frame)

    @cached_property
    def titles(self) -> pl.Series:
        return self.frame["title"].fill_null("").str.to_lowercase()


class ItemTable:
    """Immutable table of items, of which `changed` makes the next version without copying all of it.

    Most rows are in one large part. Changed rows are in a small one, and are merged into the large part when
    there are many.

    Attributes:
        columns: data type by name of column; `item_id` and `title` are always there.
    """

    def __init__(self, base: _Part, tail: _Part, rows: npt.NDArray[np.int32]) -> None:
        self._base, self._tail = base, tail
        self._rows = rows
        self.columns = base.frame.schema

    @classmethod
    def of(cls, frame: pl.DataFrame, numbers: Numbers, size: int) -> ItemTable:
        """Make a table.

        Args:
            frame: one row per item, with `item_id`.
            numbers: number of the item of every row.
            size: how many numbers there are.
        """
        if frame.schema.get("title") != pl.String:
            title = pl.col("title").cast(pl.String) if "title" in frame.columns else pl.lit(None, pl.String)
            frame = frame.with_columns(title.alias("title"))
        rows = np.full(size, _NOT_A_ROW, np.int32)
        rows[numbers] = np.arange(len(frame), dtype=np.int32)
        return cls(_Part(frame, numbers), _Part(frame.clear(), np.zeros(0, np.int64)), rows)

    def __len__(self) -> int:
        return int(np.count_nonzero(self._rows >= 0))

    def has(self, number: int) -> bool:
        """Return whether an item is in this version of the catalogue."""
        return 0 <= number < len(self._rows) and bool(self._rows[number] >= 0)

    def present(self, numbers: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        """Return which items are in this version of the catalogue, bool (n,)."""
        inside = (numbers >= 0) & (numbers < len(self._rows))
        found = np.zeros(len(numbers), bool)
        found[inside] = self._rows[numbers[inside]] >= 0
        return found

    @cached_property
    def all(self) -> Numbers:
        """Numbers of all items, ascending, int64 (n,)."""
        return np.flatnonzero(self._rows >= 0)

    def values(self, numbers: Sequence[int] | Numbers, columns: Iterable[str]) -> list[dict[str, Any]]:
        """Return values of items that are in the table, one dict per item."""
        names = list(columns)
        rows = self._rows[np.asarray(numbers, np.int64)]
        late = rows >= len(self._base.frame)
        if not late.any():
            return self._base.frame.select(names)[rows].to_dicts()
        found: list[dict[str, Any]] = [{}] * len(rows)
        for part, mask, start in ((self._base, ~late, 0), (self._tail, late, len(self._base.frame))):
            places = np.flatnonzero(mask)
            for place, values in zip(
                places, part.frame.select(names)[rows[places] - start].to_dicts(), strict=True
            ):
                found[place] = values
        return found

    def column(self, name: str) -> pl.DataFrame:
        """Return `item_id` and another column of all items."""
        parts = []
        for part, start in self._parts():
            alive = self._rows[part.numbers] == start + np.arange(len(part.numbers))
            parts.append(part.frame.select("item_id", name).filter(pl.Series(alive)))
        return pl.concat(parts)

    def search(self, text: str, offset: int, limit: int) -> tuple[int, Numbers]:
        """Find items whose title contains a text in any case, or all items if it is empty.

        Args:
            text: the text.
            offset: number of matches to skip.
            limit: maximum number of matches to return.

        Returns:
            The number of all matches, and the numbers of the returned ones in the order of the table.
        """
        if not text:
            return len(self.all), self.all[offset : offset + limit]
        lowered = text.lower()
        found = [
            self._current(part, start, part.titles.str.contains(lowered, literal=True).arg_true().to_numpy())
            for part, start in self._parts()
        ]
        matches = np.concatenate(found)
        return len(matches), matches[offset : offset + limit]

    def where(self, condition: str) -> Numbers:
        """Return the numbers of the items for which a condition is true, see `Catalogue.where`.

        Raises:
            DataError: if the condition cannot be evaluated.
        """
        found = []
        for part, start in self._parts():
            if len(part.frame) or not start:
                with part.lock:
                    chosen = part.catalogue.where(condition).items().astype(np.int64)
                found.append(self._current(part, start, chosen))
        return np.concatenate(found)

    def changed(self, frame: pl.DataFrame | None, numbers: Numbers, removed: Numbers, size: int) -> ItemTable:
        """Return the next version.

        Args:
            frame: new and replaced rows with the columns of the table, or None.
            numbers: number of the item of every one of them.
            removed: numbers of removed items.
            size: how many numbers there are now.
        """
        rows = np.full(size, _NOT_A_ROW, np.int32)
        rows[: len(self._rows)] = self._rows
        rows[removed] = _NOT_A_ROW
        if frame is None or not len(frame):
            return ItemTable(self._base, self._tail, rows)
        rows[numbers] = _NOT_A_ROW
        kept = ItemTable(self._base, self._tail, rows)
        start = len(self._base.frame)
        old = np.flatnonzero(rows[self._tail.numbers] == start + np.arange(len(self._tail.numbers)))
        tail = _Part(
            pl.concat([self._tail.frame[old], frame], rechunk=True),
            np.concatenate([self._tail.numbers[old], numbers]),
        )
        if len(tail.frame) > max(_SMALL, len(self._base.frame) // 8):
            return kept._merged(tail, size)
        rows[tail.numbers] = start + np.arange(len(tail.frame), dtype=np.int32)
        return ItemTable(self._base, tail, rows)

    def row_frame(self, rows: list[dict[str, Any]]) -> pl.DataFrame:
        """Convert complete rows to a table with the columns of this one.

        Raises:
            DataError: if a value does not fit its column; the message names it.
        """
        series = []
        for name, dtype in self.columns.items():
            values = [row.get(name) for row in rows]
            try:
                direct = _of_numbers(dtype) or all(value is None for value in values)
                series.append(
                    pl.Series(name, values, dtype=dtype) if direct else pl.Series(name, values).cast(dtype)
                )
            except (
                pl.exceptions.PolarsError,
                TypeError,
                OverflowError,
                pl.exceptions.PanicException,
            ) as error:
                raise DataError(
                    f"values of the column `{name}` have the wrong type: expected {dtype}, got "
                    f"{next(value for value in values if value is not None)!r}. Convert them."
                ) from error
        return pl.DataFrame(series)

    def _parts(self) -> list[tuple[_Part, int]]:
        return [(self._base, 0), (self._tail, len(self._base.frame))]

    def _current(self, part: _Part, start: int, found: npt.NDArray[np.integer[Any]]) -> Numbers:
        """Return the numbers of rows of a part, without rows that were replaced or removed since."""
        numbers = part.numbers[found]
        kept: Numbers = numbers[self._rows[numbers] == found.astype(np.int64) + start]
        return kept

    def _merged(self, tail: _Part, size: int) -> ItemTable:
        alive = np.flatnonzero(self._rows[self._base.numbers] == np.arange(len(self._base.numbers)))
        frame = pl.concat([self._base.frame[alive], tail.frame], rechunk=True)
        return ItemTable.of(frame, np.concatenate([self._base.numbers[alive], tail.numbers]), size)


def _of_numbers(dtype: pl.DataType) -> bool:
    """Return whether values are numbers or lists of them, which may be integers and floats in one column."""
    if isinstance(dtype, pl.List | pl.Array):
        return _of_numbers(dtype.inner)  # type: ignore[arg-type]
    return dtype.is_integer() or dtype.is_float()
