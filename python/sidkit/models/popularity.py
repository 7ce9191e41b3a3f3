"""Popularity: the same list for everyone, the floor that every model must clear."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Popularity"]


class Popularity:
    """Rank items by how often they occur in the training histories; the lower index first on a tie.

    Attributes:
        counts_: occurrences of each item, int64 (items,), once fitted.
    """

    counts_: NDArray[np.int64]

    def fit(self, interactions: NDArray[np.int32], items: int) -> "Popularity":
        """Count.

        Args:
            interactions: item indices of all training interactions, int32, any length.
            items: how many items the catalogue has.
        """
        self.counts_ = np.bincount(interactions, minlength=items).astype(np.int64)
        return self

    def scores(self, users: int) -> NDArray[np.float32]:
        """The counts as scores for `users` users, a read-only f32 (users, items) view of one row."""
        return np.broadcast_to(self.counts_.astype(np.float32), (users, len(self.counts_)))
