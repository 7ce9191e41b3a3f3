"""Additive boosts of scores."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sidkit._arguments import TopK, checked
from sidkit.rerank.attributes import item_numbers
from sidkit.rerank.base import Float32, Int32, ItemFeatures, Ranked, Reranker, best
from sidkit.rerank.cached import Cached

__all__ = ["Boost"]


@checked
@dataclass(eq=False, repr=False)
class Boost(Reranker):
    """A number of each item, such as freshness or margin, added to its score.

    The new score is `score + weight * value`, in float32; of equal scores the earlier candidate comes first.

    Example:
        >>> model.recommend(history, k=10, rerank=[Boost(items[["item_id", "margin"]], weight=0.5)])
    """

    method: ClassVar[str] = "boost"

    values: Any
    """Table with `item_id` and a number, or one number per item in the order of the catalogue; null is 0."""
    weight: float = 1.0
    """Factor of the values, in units of the scores; negative for a penalty."""
    column: str | None = None
    """Column of the number, if the table has several."""

    def _rerank(self, items: Int32, scores: Float32, k: TopK, features: ItemFeatures) -> Ranked:
        cache = vars(self).setdefault("_cache", Cached(item_numbers))
        values = cache(self.values, features.item_ids, self.column)
        added = (self.weight * values).astype(np.float32)
        return best(items, scores + np.where(items >= 0, added[items], np.float32(0)), k)
