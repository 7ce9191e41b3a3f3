"""Max-sum diversification."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Bounds, TopK, checked
from sidkit._core import max_sum_select
from sidkit.rerank.base import Float32, Int32, ItemFeatures, Ranked, Reranker, taken
from sidkit.rerank.diversity.vectors import candidate_vectors

__all__ = ["MaxSum"]


@checked
@dataclass(kw_only=True, eq=False, repr=False)
class MaxSum(Reranker):
    """Max-sum diversification (Borodin, Lee and Ye, PODS 2012), greedy.

    Items are chosen one after the other, so that

        (1 - diversity) * (sum of the probabilities)
            - diversity / (k - 1) * (sum of the cosines of all pairs, each at least 0)

    is high, and the list keeps the order of the scores. The probability of a candidate is the softmax of the
    scores of its list. So a list of which the model is sure changes less than one of which it is not, and the
    same diversity costs less accuracy than with `MMR` or `DPP`, which map the scores of every list to one
    range.

    Example:
        >>> model.recommend(history, k=10, rerank=[MaxSum(diversity=0.05, vectors=x)])
    """

    method: ClassVar[str] = "max_sum"

    diversity: float = 0.05
    """Weight of the diversity, 0 to 1; 0 keeps the list. Probabilities of single items are small, so useful
    weights are as well."""
    temperature: Annotated[float, Bounds(gt=0.0)] = 1.3
    """Divisor of the scores before the softmax. The default is for log-probabilities, which generators
    return; scores in a narrow range, such as cosines, need a lower one."""
    vectors: npt.ArrayLike | None = None
    """Vector of every item, (items, d), in the order of the catalogue; None for those that the recommender
    has learned."""
    threads: int | None = None
    """Maximum number of threads; all cores if None. The lists do not depend on it."""

    def _rerank(self, items: Int32, scores: Float32, k: TopK, features: ItemFeatures) -> Ranked:
        rows, vectors = candidate_vectors(items, self.vectors, features, method=self.method)
        probabilities = _softmax(items, scores, self.temperature)
        positions, _ = max_sum_select(
            rows, probabilities, vectors, k, diversity=self.diversity, threads=self.threads
        )
        positions = np.where(positions < 0, np.iinfo(np.int32).max, positions)
        ordered = np.sort(positions, axis=1)  # candidates are best first
        return taken(items, scores, np.where(ordered < items.shape[1], ordered, -1))


def _softmax(items: Int32, scores: Float32, temperature: float) -> Float32:
    """Return the softmax of the scores of each list, 0 for padding."""
    if not items.shape[1]:
        return scores
    scaled = np.where(items < 0, -np.inf, scores.astype(np.float64)) / temperature
    highest = scaled.max(axis=1, keepdims=True)
    powers = np.exp(scaled - np.where(np.isfinite(highest), highest, 0))
    total = powers.sum(axis=1, keepdims=True)
    return (powers / np.where(total > 0, total, 1)).astype(np.float32)
