"""Removal of near-identical items."""

from dataclasses import dataclass
from typing import ClassVar

import numpy.typing as npt

from sidkit._arguments import TopK, checked
from sidkit._core import distinct_select
from sidkit.rerank.base import Float32, Int32, ItemFeatures, Ranked, Reranker, taken
from sidkit.rerank.diversity.vectors import candidate_vectors

__all__ = ["Deduplicate"]


@checked
@dataclass(kw_only=True, eq=False, repr=False)
class Deduplicate(Reranker):
    """Removal of items that are nearly identical to an item before them, such as colours of one product.

    A candidate is skipped if its cosine with an earlier item of the list is `threshold` or more. The others
    keep their order and their scores.

    Example:
        >>> model.recommend(history, k=10, rerank=[Deduplicate(threshold=0.95, vectors=x)])
    """

    method: ClassVar[str] = "deduplicate"

    threshold: float = 0.95
    """Least cosine of items that count as identical, 0 to 1."""
    vectors: npt.ArrayLike | None = None
    """Vector of every item, (items, d), in the order of the catalogue; None for those that the recommender
    has learned."""
    threads: int | None = None
    """Maximum number of threads; all cores if None. The lists do not depend on it."""

    def _rerank(self, items: Int32, scores: Float32, k: TopK, features: ItemFeatures) -> Ranked:
        rows, vectors = candidate_vectors(items, self.vectors, features, method=self.method)
        positions, _ = distinct_select(
            rows, scores, vectors, k, threshold=self.threshold, threads=self.threads
        )
        return taken(items, scores, positions)
