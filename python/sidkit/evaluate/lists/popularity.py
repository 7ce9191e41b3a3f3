"""Popularity and novelty of recommended items."""

import numpy as np
import numpy.typing as npt

from sidkit._arguments import checked
from sidkit.evaluate.lists.arguments import ItemCounts, ItemLists, check_catalogue

__all__ = ["average_popularity", "mean_over_items", "novelty"]

Float64 = npt.NDArray[np.float64]


def mean_over_items(items: npt.NDArray[np.integer], values: npt.NDArray[np.number | np.bool_]) -> Float64:
    """Average a value of the items of each list, float64 (m,); 0 for an empty list.

    Args:
        items: item rows (m, k), padded with -1.
        values: value of every item, (items,).
    """
    check_catalogue(items, len(values))
    there = items >= 0
    summed = np.where(there, values.astype(np.float64)[items], 0).sum(axis=1)
    mean: Float64 = summed / np.maximum(there.sum(axis=1), 1)
    return mean


@checked
def average_popularity(items: ItemLists, counts: ItemCounts) -> Float64:
    """Compute the mean number of training events of the items of each list.

        ARP = sum over i of count(i) / n

    for the n items of a list (Yin et al., VLDB 2012; Abdollahpouri et al., FLAIRS 2019).

    Args:
        items: item rows (m, k), padded with -1.
        counts: training events of every item, int (items,).

    Returns:
        float64 (m,); 0 for an empty list.
    """
    return mean_over_items(items, counts)


@checked
def novelty(items: ItemLists, counts: ItemCounts) -> Float64:
    """Compute the mean self-information of the items of each list.

        novelty = - sum over i of log2 q(i) / n,  q(i) = (count(i) + 1) / (all events + items)

    for the n items of a list (Zhou et al., PNAS 2010; Castells et al., 2011).

    Args:
        items: item rows (m, k), padded with -1.
        counts: training events of every item, int (items,).

    Returns:
        Bits, float64 (m,); 0 for an empty list.
    """
    shares = (counts + 1.0) / (counts.sum() + len(counts))
    return mean_over_items(items, -np.log2(shares))
