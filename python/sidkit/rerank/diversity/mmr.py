"""Maximal marginal relevance."""

from dataclasses import dataclass
from typing import ClassVar

import numpy.typing as npt

from sidkit._arguments import TopK, checked
from sidkit._core import mmr_select
from sidkit.rerank.base import Float32, Int32, ItemFeatures, Ranked, Reranker, taken
from sidkit.rerank.diversity.vectors import candidate_vectors, unit_range

__all__ = ["MMR"]


@checked
@dataclass(kw_only=True, eq=False, repr=False)
class MMR(Reranker):
    """Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).

    Items are chosen one after the other. The next is the candidate with the highest

        (1 - diversity) * score - diversity * (highest cosine with an item chosen before, at least 0)

    and, of equals, the earlier candidate. The scores of the list are these values.

    Example:
        >>> model.recommend(history, k=10, rerank=[MMR(diversity=0.3, vectors=x)])
    """

    method: ClassVar[str] = "mmr"

    diversity: float = 0.3
    """Weight of the diversity, 0 to 1; 0 keeps the order of the scores."""
    keep: int = 0
    """First positions of a list that go to the highest scores. Most hits of a list are there, so that a high
    weight for the other positions costs less accuracy than a low one for all."""
    vectors: npt.ArrayLike | None = None
    """Vector of every item, (items, d), in the order of the catalogue; None for those that the recommender
    has learned."""
    normalize_scores: bool = True
    """Map the scores of each list to 0 to 1 first, so that they are comparable with cosines."""
    threads: int | None = None
    """Maximum number of threads; all cores if None. The lists do not depend on it."""

    def _rerank(self, items: Int32, scores: Float32, k: TopK, features: ItemFeatures) -> Ranked:
        rows, vectors = candidate_vectors(items, self.vectors, features, method=self.method)
        relevance = unit_range(items, scores) if self.normalize_scores else scores
        positions, values = mmr_select(
            rows, relevance, vectors, k, diversity=self.diversity, keep=self.keep, threads=self.threads
        )
        return taken(items, scores, positions)[0], values
