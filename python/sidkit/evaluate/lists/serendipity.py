"""Serendipity: hits that a primitive recommender would not give."""

import numpy as np
import numpy.typing as npt

__all__ = ["serendipity"]


def serendipity(
    items: npt.NDArray[np.integer],
    targets: npt.NDArray[np.integer],
    counts: npt.NDArray[np.integer],
) -> npt.NDArray[np.float64]:
    """Find the users whose target is in the list and is unexpected.

        serendipity = |{target} and list without expected items|

    Expected are the k most popular items of the catalogue, the list of a primitive recommender (Ge,
    Delgado-Battenfeld and Jannach, RecSys 2010). With one target per user, the mean is the part of Recall@K
    that popularity does not explain.

    Args:
        items: item rows (m, k), padded with -1.
        targets: the item that each user took next, int (m,).
        counts: training events of every item, int (items,); of equal counts the lower row is more popular.

    Returns:
        float64 (m,), 1 for a serendipitous hit, otherwise 0.
    """
    expected = np.zeros(len(counts), bool)
    expected[np.argsort(-counts.astype(np.int64), kind="stable")[: items.shape[1]]] = True
    hit = (items == targets[:, None]).any(axis=1)
    found: npt.NDArray[np.float64] = (hit & ~expected[targets]).astype(np.float64)
    return found
