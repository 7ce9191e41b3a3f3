"""Rows of integer ids, found without Python objects."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["IntegerIndex"]

#: Values looked up at once; their temporary arrays take about 30 MB.
_BLOCK = 1 << 20
#: Largest span of ids, relative to their number, for a table of all ids in between.
_SPAN = 4


class IntegerIndex:
    """Lookup of the rows of distinct integer ids.

    Uses a table indexed by id where the ids lie close together, which takes 4 bytes per id of the span, and a
    sorted copy otherwise, which takes 12 bytes per id.

    Args:
        ids: distinct integers (n,) that fit int64, n below 2**31.
    """

    def __init__(self, ids: npt.NDArray[np.integer[Any]]) -> None:
        self._low = int(ids.min()) if len(ids) else 0
        self._high = int(ids.max()) if len(ids) else -1
        span = self._high - self._low + 1
        self._table: npt.NDArray[np.int32] | None = None
        if span <= _SPAN * len(ids) + _BLOCK:
            self._table = np.full(span, -1, np.int32)
            for start in range(0, len(ids), _BLOCK):
                block = ids[start : start + _BLOCK].astype(np.int64)
                self._table[block - self._low] = np.arange(start, start + len(block), dtype=np.int32)
        else:
            self._order = np.argsort(ids, kind="stable").astype(np.int32)
            self._sorted = ids[self._order].astype(np.int64)

    def rows(self, values: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32]:
        """Return the row of each value, int32 (m,), -1 for an unknown one.

        Args:
            values: integers (m,) that fit int64.
        """
        found = np.empty(len(values), np.int32)
        for start in range(0, len(values), _BLOCK):
            block = values[start : start + _BLOCK].astype(np.int64)
            found[start : start + _BLOCK] = self._found(block)
        return found

    def _found(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        inside = (values >= self._low) & (values <= self._high)
        rows = np.full(len(values), -1, np.int32)
        if self._table is not None:
            rows[inside] = self._table[values[inside] - self._low]
        else:
            place = np.searchsorted(self._sorted, values[inside])
            rows[inside] = np.where(self._sorted[place] == values[inside], self._order[place], -1)
        return rows
