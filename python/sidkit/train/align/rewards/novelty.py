"""Reward of items that are rarely consumed."""

import numpy as np
import numpy.typing as npt

from sidkit.data import Histories
from sidkit.train.align.rewards.attribute import ItemAttribute

__all__ = ["Novelty"]


class Novelty(ItemAttribute):
    """Self-information of an item in bits, -log2 of its share of the events, as in the metric `novelty@K`.

    Args:
        events: training histories, such as `split.train`, or the number of events of each item, int (items,).
    """

    def __init__(self, events: Histories | npt.NDArray[np.integer]) -> None:
        counts = (
            np.bincount(events.values, minlength=len(events.item_ids))
            if isinstance(events, Histories)
            else np.asarray(events)
        )
        super().__init__(-np.log2((counts + 1.0) / (counts.sum() + len(counts))))
