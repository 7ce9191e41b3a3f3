"""Arrays of vectors that are read in blocks, such as memory-mapped files larger than memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["first_non_finite", "row_blocks"]

#: Bytes of a float32 block.
_BLOCK_BYTES = 1 << 24


def row_blocks(rows: int, dim: int) -> Iterator[slice]:
    """Yield consecutive slices of `rows` vectors, each at most 16 MiB as float32 (m, dim)."""
    step = max(1, _BLOCK_BYTES // (4 * max(1, dim)))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def first_non_finite(x: npt.NDArray[Any]) -> int | None:
    """Return the first row of vectors, float (n, dim), with NaN, infinity or an overflow of float32, or None.

    Reads one block at a time and never allocates an array of the size of `x`.
    """
    for block in row_blocks(*x.shape):
        # A float64 sum of finite float32 values is finite, and cheaper to check than every value.
        with np.errstate(over="ignore", invalid="ignore"):
            sums = x[block].astype(np.float32).sum(axis=1, dtype=np.float64)
        wrong = np.flatnonzero(~np.isfinite(sums))
        if len(wrong):
            return int(block.start) + int(wrong[0])
    return None
