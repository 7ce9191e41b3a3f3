"""Ages of items, and the share of new items in lists."""

import numpy as np
import numpy.typing as npt

from sidkit._arguments import checked
from sidkit.data import Histories
from sidkit.errors import DataError
from sidkit.evaluate.lists.arguments import ItemLists, ItemMask
from sidkit.evaluate.lists.popularity import mean_over_items

__all__ = ["item_ages", "item_share"]

_SECONDS_PER_DAY = 86_400


@checked
def item_ages(train: Histories) -> npt.NDArray[np.float64]:
    """Compute the age of every item at the end of the training period.

    Args:
        train: training histories with times, such as `split.train`.

    Returns:
        Days from the first event of the item to the last event of all, float64 (items,); 0 for an item
        without an event.

    Raises:
        DataError: if the histories have no times.
    """
    if train.times is None:
        raise DataError("item ages need times: expected histories with `times`, got none")
    times = np.asarray(train.times, np.float64)
    first = np.full(len(train.item_ids), np.inf)
    np.minimum.at(first, train.values, times)
    latest = times.max(initial=0.0)
    return (
        np.where(np.isfinite(first), (latest - np.where(np.isfinite(first), first, 0)), 0) / _SECONDS_PER_DAY
    )


@checked
def item_share(items: ItemLists, mask: ItemMask) -> npt.NDArray[np.float64]:
    """Compute the share of the items of each list that belong to a group, such as new items.

    Args:
        items: item rows (m, k), padded with -1.
        mask: bool (items,), True for the items of the group.

    Returns:
        float64 (m,), 0 to 1; 0 for an empty list.
    """
    return mean_over_items(items, mask)
