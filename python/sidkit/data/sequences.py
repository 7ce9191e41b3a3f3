"""Ragged rows of integers in two arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Bounds, Count, Shape, check_argument, checked
from sidkit.errors import DataError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Sequences", "check_sequences", "checked_rows", "copy_slices", "offsets_of"]

#: Lengths of rows.
Lengths: TypeAlias = Annotated[npt.NDArray[np.integer[Any]], Shape("rows"), Bounds(ge=0)]
_Rows: TypeAlias = Annotated[npt.NDArray[np.int64], Shape("rows")]

#: Values copied at once.
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Sequences:
    """Rows of item indices, stored one after the other (CSR).

    Row `i` is `values[offsets[i]:offsets[i + 1]]`:

        >>> rows = Sequences.from_rows([[3, 1], [], [2, 2, 5]])
        >>> rows.values, rows.offsets
        (array([3, 1, 2, 2, 5], dtype=int32), array([0, 2, 2, 5]))
        >>> rows[2]
        array([2, 2, 5], dtype=int32)

    Attributes:
        values: int32 (nnz,), >= 0.
        offsets: int64 (rows + 1,), from 0 to nnz, never decreasing.

    Raises:
        DataError: if the arrays are invalid. Other integer types are converted if every number fits.
    """

    values: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        values = _integers("values", self.values, np.int32)
        offsets = _integers("offsets", self.offsets, np.int64)
        if (
            len(offsets) == 0
            or offsets[0] != 0
            or offsets[-1] != len(values)
            or np.any(offsets[1:] < offsets[:-1])
        ):
            raise DataError(
                "offsets of sequences are invalid: expected them to start at 0, never decrease, and end at "
                f"{len(values)}, the number of values, got {_excerpt(offsets)}. Use Sequences.from_lengths."
            )
        if len(values) and values.min() < 0:
            row = int(np.argmax(values < 0))
            raise DataError(
                f"values of sequences are invalid: expected integers >= 0, got {values[row]} at place {row}. "
                "Pass rows of items."
            )
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "offsets", offsets)

    @staticmethod
    @checked
    def from_rows(rows: Iterable[Any]) -> Sequences:
        """Build from one iterable of integers per row.

        Raises:
            DataError: if a row holds anything else.
        """
        arrays = [
            np.asarray(check_argument(f"rows[{number}]", _listed(number, row), npt.ArrayLike))
            for number, row in enumerate(rows)
        ]
        for number, row in enumerate(arrays):
            if row.ndim != 1 or (row.dtype.kind not in "iu" and row.size):
                raise DataError(
                    f"row {number} of sequences is invalid: expected integers, got {row.dtype} of shape "
                    f"{row.shape}. Pass rows of items; Histories.from_ids takes ids."
                )
        values = np.concatenate([np.empty(0, np.int64), *(row.astype(np.int64) for row in arrays)])
        return Sequences.from_lengths(values, np.array([len(row) for row in arrays], dtype=np.int64))

    @staticmethod
    @checked
    def from_lengths(values: npt.NDArray[Any], lengths: Lengths) -> Sequences:
        """Build from the values of all rows and the length of each row, integers (rows,)."""
        return Sequences(values, offsets_of(lengths))

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Length of each row, int64 (rows,)."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> npt.NDArray[np.int32]:
        """Return a view of one row, int32 (length,); negative numbers count from the end."""
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} sequences")
        row %= len(self)
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[npt.NDArray[np.int32]]:
        return (self[row] for row in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequences):
            return NotImplemented
        return np.array_equal(self.offsets, other.offsets) and np.array_equal(self.values, other.values)

    __hash__ = None  # type: ignore[assignment]  # arrays inside can change

    def __repr__(self) -> str:
        return f"Sequences({len(self)} rows, {len(self.values)} values)"

    @checked
    def take(self, rows: npt.ArrayLike) -> Self:
        """Copy the given rows, in the given order: integers (n,) or a boolean mask (rows,).

        Negative integers count from the end.

        Raises:
            DataError: if there is no such row, or the mask has another length.
        """
        chosen = checked_rows(rows, len(self))
        return self._slices(self.offsets[:-1][chosen], self.lengths[chosen], chosen)

    @checked
    def tail(self, n: int) -> Self:
        """Keep the last `n` values of each row, or the whole row where it is shorter."""
        lengths = np.minimum(self.lengths, max(n, 0))
        return self._slices(self.offsets[1:] - lengths, lengths)

    @checked
    def head(self, lengths: npt.ArrayLike) -> Self:
        """Keep the first values of each row: one length per row, integers (rows,), or one for all.

        A row shorter than that is kept whole.

        Raises:
            DataError: if `lengths` are no integers, or not one per row.
        """
        if np.ndim(lengths):
            asked = check_argument("lengths", lengths, _Rows)
        else:
            asked = np.full(len(self), check_argument("lengths", lengths, int))
        if len(asked) != len(self):
            raise DataError(
                f"`lengths` do not fit: expected one for each of {len(self)} rows, got {len(asked)}."
            )
        return self._slices(self.offsets[:-1], np.clip(asked, 0, self.lengths))

    @checked
    def take_heads(self, rows: _Rows, lengths: _Rows) -> Self:
        """Copy the first values of the given rows, `take(rows).head(lengths)` in one copy.

        Args:
            rows: int64 (n,).
            lengths: number of values of each, int64 (n,); a shorter row is kept whole.
        """
        rows = checked_rows(rows, len(self))
        return self._slices(self.offsets[rows], np.clip(lengths, 0, self.lengths[rows]), rows)

    @checked
    def parts(self, length: Count) -> Sequences:
        """Cut every row into parts of `length` values (1 or more), the last one shorter; drop empty rows."""
        counts = -(-self.lengths // length)
        lengths = np.full(counts.sum(), length, np.int64)
        filled = counts > 0
        lengths[counts.cumsum()[filled] - 1] = (self.lengths - (counts - 1) * length)[filled]
        return Sequences.from_lengths(self.values, lengths)

    @checked
    def padded(self, filling: int) -> npt.NDArray[np.int64]:
        """Return all rows as one array, int64 (rows, longest), padded with `filling` on the right."""
        lengths = self.lengths
        filled = np.full((len(self), int(lengths.max(initial=0))), filling, np.int64)
        filled[np.arange(filled.shape[1]) < lengths[:, None]] = self.values
        return filled

    def _slices(
        self,
        starts: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64] | None = None,
    ) -> Self:
        """Copy one slice of `values` per row; `rows` are the rows they come from, None for all in order."""
        offsets = offsets_of(lengths)
        return replace(self, values=copy_slices(self.values, starts, offsets), offsets=offsets)


def checked_rows(rows: npt.ArrayLike, count: int) -> npt.NDArray[np.int64]:
    """Return rows of a table as int64 (n,), none of them negative.

    Args:
        rows: integers (n,), of which negative ones count from the end, or a boolean mask (count,).
        count: number of rows of the table.

    Raises:
        DataError: if there is no such row, or the mask has another length.
    """
    given = np.asarray(check_argument("rows", rows, npt.ArrayLike))
    if given.dtype == np.bool_:
        if given.shape != (count,):
            raise DataError(
                f"a mask does not fit: expected one value for each of {count} rows, got {given.shape}."
            )
        return np.flatnonzero(given)
    chosen: npt.NDArray[np.int64] = check_argument("rows", given, _Rows)
    if len(chosen) and not (-count <= chosen.min() and chosen.max() < count):
        wrong = int(chosen[(chosen < -count) | (chosen >= count)][0])
        raise DataError(f"there is no such row: expected 0..{count - 1}, got {wrong}.")
    return np.where(chosen < 0, chosen + count, chosen)


def _listed(number: int, row: Any) -> list[Any]:
    values: list[Any] = list(check_argument(f"rows[{number}]", row, Iterable[Any]))
    return values


def check_sequences(name: str, given: object) -> Sequences:
    """Return `given`, or raise DataError if it is not a `Sequences`; `name` names it in the message."""
    if not isinstance(given, Sequences):
        raise DataError(
            f"{name} has the wrong type: expected Sequences, got {type(given).__name__}. "
            "Convert it with Sequences.from_rows."
        )
    return given


def offsets_of(lengths: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Offsets int64 (rows + 1,) of rows with these lengths."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def copy_slices(
    values: npt.NDArray[Any], starts: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]
) -> npt.NDArray[Any]:
    """Copy one slice of `values` per row, (nnz,).

    Args:
        values: any array (n,).
        starts: where the slice of each row begins, int64 (rows,).
        offsets: offsets of the result, int64 (rows + 1,).
    """
    copied = np.empty(offsets[-1], values.dtype)
    row = 0
    while row < len(starts):  # blocks of rows, so that positions take little memory
        stop = max(row + 1, int(np.searchsorted(offsets, offsets[row] + _BLOCK, "right")) - 1)
        part = offsets[row : stop + 1]
        positions = np.arange(part[0], part[-1]) + np.repeat(starts[row:stop] - part[:-1], np.diff(part))
        copied[part[0] : part[-1]] = values[positions]
        row = stop
    return copied


def _integers(name: str, array: Any, dtype: type[np.integer[Any]]) -> npt.NDArray[Any]:
    given = np.asarray(check_argument(name, array, npt.ArrayLike))
    if given.ndim != 1 or (given.dtype.kind not in "iu" and given.size):
        raise DataError(
            f"{name} of sequences are invalid: expected a one-dimensional array of integers, "
            f"got {given.dtype} of shape {given.shape}. Convert them."
        )
    bounds = np.iinfo(dtype)
    if given.size and (int(given.max()) > bounds.max or int(given.min()) < bounds.min):
        raise DataError(
            f"{name} of sequences are too large: expected integers that fit {np.dtype(dtype)}, "
            f"got up to {given.max()}. Pass rows of items, not ids."
        )
    return np.ascontiguousarray(given, dtype=dtype)


def _excerpt(array: npt.NDArray[Any]) -> str:
    return np.array2string(array, threshold=6, edgeitems=3)
