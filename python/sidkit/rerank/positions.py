"""Positions of candidates in their lists."""

import numpy as np
import numpy.typing as npt

from sidkit._arguments import TopK

__all__ = ["first_positions"]


def first_positions(kept: npt.NDArray[np.bool_], k: TopK) -> npt.NDArray[np.int64]:
    """Return the first k positions of each row that are True, int64 (m, k), padded with -1.

    Args:
        kept: bool (m, candidates).
        k: number of positions.
    """
    positions = np.full((len(kept), k), -1, np.int64)
    row, position = np.nonzero(kept)
    place = (np.cumsum(kept, axis=1) - 1)[row, position]
    within = place < k
    positions[row[within], place[within]] = position[within]
    return positions
