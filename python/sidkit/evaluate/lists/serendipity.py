"""Serendipity: hits that a primitive recommender would not give."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Bounds, Shape, checked
from sidkit.evaluate.lists.arguments import ItemCounts, ItemLists, check_catalogue

__all__ = ["serendipity"]


@checked
def serendipity(
    items: ItemLists,
    targets: Annotated[npt.NDArray[np.integer], Shape("lists"), Bounds(ge=0)],
    counts: ItemCounts,
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
    check_catalogue(items, len(counts))
    check_catalogue(targets, len(counts))
    expected = np.zeros(len(counts), bool)
    expected[np.argsort(-counts.astype(np.int64), kind="stable")[: items.shape[1]]] = True
    hit = (items == targets[:, None]).any(axis=1)
    found: npt.NDArray[np.float64] = (hit & ~expected[targets]).astype(np.float64)
    return found
