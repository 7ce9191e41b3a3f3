"""Correction of scores for popularity."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sidkit._arguments import TopK, checked
from sidkit.rerank.base import Float32, Int32, ItemFeatures, Ranked, Reranker, best

__all__ = ["PopularityCorrection"]


@checked
@dataclass(kw_only=True, eq=False, repr=False)
class PopularityCorrection(Reranker):
    """Log-q correction of scores: the log-share of the training events is subtracted (Yi et al. 2019).

    The new score is `score - weight * ln q`, in float32, with q = (events of the item + 1) / (all events +
    items); of equal scores the earlier candidate comes first. For the log-probabilities of a softmax model, a
    weight of 1 ranks by pointwise mutual information (the logit adjustment of Menon et al., ICLR 2021).

    Example:
        >>> model.recommend(history, k=10, rerank=[PopularityCorrection(weight=0.2)])
    """

    method: ClassVar[str] = "popularity_correction"

    weight: float = 0.3
    """Strength of the correction; 0 keeps the scores, a negative weight favours popular items."""

    def _rerank(self, items: Int32, scores: Float32, k: TopK, features: ItemFeatures) -> Ranked:
        counts = features.counts + 1.0
        correction = (self.weight * np.log(counts / counts.sum())).astype(np.float32)
        return best(items, scores - np.where(items >= 0, correction[items], np.float32(0)), k)
