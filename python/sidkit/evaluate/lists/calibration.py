"""Calibration: the categories of a list against those of the history."""

import numpy as np
import numpy.typing as npt

from sidkit._arguments import checked
from sidkit.data import Sequences
from sidkit.errors import DataError
from sidkit.evaluate.lists.arguments import ItemLists, check_catalogue

__all__ = ["miscalibration"]

Float64 = npt.NDArray[np.float64]

_SMOOTHING = 0.01
_BLOCK_ELEMENTS = 4_000_000  # of distributions


@checked
def miscalibration(items: ItemLists, histories: Sequences, attribute: Sequences) -> Float64:
    """Compute the divergence of the categories of each list from those of the history.

        C = sum over categories g of p(g) ln(p(g) / q~(g)),  q~ = 0.99 q + 0.01 p

    with p, the mean over the items of the history, and q, the mean over the items of the list, of the
    distribution of an item over its categories, which is uniform (Steck, RecSys 2018). Items without a
    category are left out.

    Args:
        items: item rows (m, k), padded with -1.
        histories: m rows of item rows.
        attribute: for every item, its categories, 0 or higher; see `sidkit.rerank.item_attribute`.

    Returns:
        Nats, float64 (m,); 0 for a list with the distribution of the history, at most ln 100; NaN for a
        history without a category.
    """
    check_catalogue(items, len(attribute))
    check_catalogue(histories.values, len(attribute))
    if len(histories) != len(items):
        raise DataError(
            f"`histories` do not fit the lists: expected {len(items)} rows, got {len(histories)}."
        )
    found = np.full(len(items), np.nan)
    categories = int(attribute.values.max(initial=-1)) + 1
    step = max(1, _BLOCK_ELEMENTS // max(1, categories))
    for start in range(0, len(items), step):
        rows = np.arange(start, min(start + step, len(items)))
        listed = items[rows]
        shown = Sequences.from_lengths(listed[listed >= 0].astype(np.int64), (listed >= 0).sum(axis=1))
        given = _distributions(histories.take(rows), attribute, categories)
        mixed = (1 - _SMOOTHING) * _distributions(shown, attribute, categories) + _SMOOTHING * given
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(given > 0, given * np.log(given / mixed), 0)
        found[rows] = np.where(given.sum(axis=1) > 0, np.maximum(terms.sum(axis=1), 0), np.nan)
    return found


def _distributions(lists: Sequences, attribute: Sequences, categories: int) -> Float64:
    """Return the mean distribution of the items of each list over the categories, (m, categories)."""
    each = attribute.take(lists.values)
    row = np.repeat(np.repeat(np.arange(len(lists)), lists.lengths), each.lengths)
    weight = np.repeat(1.0 / np.maximum(each.lengths, 1), each.lengths)
    summed = np.bincount(
        row * categories + each.values, weights=weight, minlength=len(lists) * categories
    ).reshape(len(lists), categories)
    total = summed.sum(axis=1, keepdims=True)
    distribution: Float64 = summed / np.where(total > 0, total, 1)
    return distribution
