"""Interaction histories with the ids of their items and users."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import checked
from sidkit.data.id_columns import check_distinct, check_id_column, id_series, rows_of
from sidkit.data.sequences import Sequences, copy_slices, offsets_of
from sidkit.errors import DataError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Histories"]


@checked
@dataclass(frozen=True, eq=False, repr=False)
class Histories(Sequences):
    """Sequences of items, oldest first, together with the ids behind the row numbers.

        >>> histories = Histories.from_ids([["soap", "comb"], ["comb"]])
        >>> histories.ids(0)
        ['soap', 'comb']
        >>> histories.values, histories.item_ids.to_list()
        (array([0, 1, 1], dtype=int32), ['soap', 'comb'])

    Attributes:
        values: int32 (nnz,), rows of `item_ids`.
        offsets: int64 (rows + 1,); history `i` is `values[offsets[i]:offsets[i + 1]]`.
        item_ids: polars Series (items,), the id of every item of the catalogue, integers or strings.
        user_ids: polars Series (rows,), the user of every history, or None.
        times: numbers (nnz,), the time of every value in the unit of the dataset's order column, or None.

    Raises:
        DataError: if the arrays do not fit together, or a value is not a row of `item_ids`.
    """

    item_ids: pl.Series
    user_ids: pl.Series | None = None
    times: npt.NDArray[Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.values) and (largest := int(self.values.max())) >= len(self.item_ids):
            raise DataError(
                f"a history holds an item that does not exist: expected rows in 0..{len(self.item_ids) - 1}, "
                f"got {largest}. Pass the ids of the whole catalogue as `item_ids`."
            )
        if self.user_ids is not None and len(self.user_ids) != len(self):
            raise DataError(
                f"`user_ids` does not fit the histories: expected {len(self)} ids, "
                f"got {len(self.user_ids)}. Pass one id per history, or None."
            )
        if self.times is not None and np.shape(self.times) != self.values.shape:
            raise DataError(
                f"`times` does not fit the histories: expected {len(self.values)} times, "
                f"got an array of shape {np.shape(self.times)}. Pass one time per event, or None."
            )

    @classmethod
    def from_ids(
        cls,
        rows: Iterable[Iterable[int | str]] | pl.Series,
        item_ids: pl.Series | None = None,
        *,
        user_ids: pl.Series | None = None,
    ) -> Histories:
        """Build histories from one list of item ids per history.

        Args:
            rows: item ids, oldest first: lists, arrays, or a polars Series of lists.
            item_ids: ids of the catalogue; by default the distinct ids of `rows`, by first occurrence.
            user_ids: ids of the users, one per history.

        Raises:
            DataError: if an id is neither an integer nor a string, or is not in `item_ids`.
        """
        if isinstance(rows, pl.Series):
            lengths = rows.list.len().fill_null(0).to_numpy().astype(np.int64)
            flat = rows.filter(pl.Series(lengths > 0)).explode()
        else:
            lists = [row.tolist() if isinstance(row, np.ndarray) else list(row) for row in rows]
            lengths = np.array([len(row) for row in lists], dtype=np.int64)
            flat = id_series(chain.from_iterable(lists), what="item ids of histories")
        if len(flat) == 0:
            flat = pl.Series([], dtype=pl.Int64 if item_ids is None else item_ids.dtype)
        else:
            flat = check_id_column(flat, "item_id", "histories")
        known = flat.unique(maintain_order=True) if item_ids is None else item_ids
        if item_ids is not None and len(item_ids):
            known = check_id_column(item_ids, "item_id", "item_ids")
            check_distinct(known)
        values = rows_of(flat, known, "item")
        offsets = offsets_of(lengths)
        return cls(values, offsets, known.rename("item_id"), user_ids)

    def __repr__(self) -> str:
        return f"Histories({len(self)} histories, {len(self.values)} events, {len(self.item_ids)} items)"

    def ids(self, row: int) -> list[Any]:
        """Return the item ids of one history, oldest first; negative numbers count from the end.

        Raises:
            DataError: if there is no such history.
        """
        if not -len(self) <= row < len(self):
            raise DataError(f"there is no such history: expected 0..{len(self) - 1}, got {row}.")
        return self.item_ids.gather(self[row]).to_list()

    def _slices(
        self,
        starts: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64] | None = None,
    ) -> Self:
        offsets = offsets_of(lengths)
        users, times = self.user_ids, self.times
        return replace(
            self,
            values=copy_slices(self.values, starts, offsets),
            offsets=offsets,
            user_ids=users if users is None or rows is None else users.gather(rows),
            times=None if times is None else copy_slices(times, starts, offsets),
        )
