"""Item-kNN: items that share users with the recent items of a history."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from sidkit._settings import Count, NonNegative, Width
from sidkit.recommenders.item_to_item.base import ItemToItem, Sparse, sparse, strongest
from sidkit.recommenders.training_data import TrainingData

__all__ = ["ItemKNN"]


@dataclass(kw_only=True, eq=False, repr=False)
class ItemKNN(ItemToItem):
    """Item-based collaborative filtering (Sarwar et al., WWW 2001), without training.

    The similarity of an item i of the history and a candidate j is c(i, j) / (n(i)^source_normalization ·
    n(j)^target_normalization + shrinkage), where c counts shared users and n the users of an item. With both
    exponents 0.5, it is the cosine. The order of events counts only in that older items of a history count
    less. It needs no Semantic IDs.

    Example:
        >>> model = ItemKNN().fit(split.train)
        >>> ids, scores = model.recommend([50, 172, 181], k=10)
    """

    method: ClassVar[str] = "item_knn"

    neighbors: Count = 50
    """Most similar items of each candidate that are kept."""
    source_normalization: NonNegative = 0.25
    """Exponent of the popularity of an item of the history."""
    target_normalization: NonNegative = 0.0
    """Exponent of the popularity of a candidate."""
    shrinkage: NonNegative = 0.0
    """Constant added to the denominator, against similarities of few users."""
    recency: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """Factor by which each older item of a history counts less; 1 for none."""
    max_items: Width = 50
    """Most recent items of a history that are used."""

    def _matrix(self, data: TrainingData) -> Sparse:
        histories = data.require_sequences()
        user = np.repeat(np.arange(len(histories)), histories.lengths)
        ones = np.ones(len(user), np.float32)
        seen = sparse.csr_array((ones, (user, histories.values)), shape=(len(histories), data.items))
        seen.sum_duplicates()
        seen.data[:] = 1
        users = np.maximum(seen.sum(axis=0), 1)
        shared = (seen.T @ seen).tocoo()
        row, column = shared.row, shared.col
        normal = users[row] ** self.source_normalization * users[column] ** self.target_normalization
        similarity = (shared.data / (normal + self.shrinkage)).astype(np.float32)
        other = row != column
        edges = sparse.csr_array((similarity[other], (column[other], row[other])), shape=shared.shape)
        return strongest(edges, self.neighbors).T
