"""Distribution of exposure over the catalogue."""

import numpy as np

from sidkit._arguments import Count, checked
from sidkit.evaluate.lists.arguments import ItemLists, check_catalogue

__all__ = ["gini"]


@checked
def gini(items: ItemLists, n_items: Count) -> float:
    """Compute the Gini index of the recommendations over the catalogue.

        G = sum over i of (2 i - n - 1) x_(i) / (n sum x)

    with x_(1) <= ... <= x_(n), the number of lists that contain each of the n items (Gini 1912; Fleder and
    Hosanagar, Management Science 2009). Items that are in no list count.

    Args:
        items: item rows (m, k), padded with -1.
        n_items: size of the catalogue.

    Returns:
        0 (all items equally often) to (n - 1) / n (one item only); 0 for empty lists.
    """
    check_catalogue(items, n_items)
    counts = np.sort(np.bincount(items[items >= 0], minlength=n_items)).astype(np.float64)
    if not counts.sum():
        return 0.0
    ranks = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float((ranks * counts).sum() / (n_items * counts.sum()))
