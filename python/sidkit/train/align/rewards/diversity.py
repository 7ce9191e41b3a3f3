"""Reward of items that differ from the others of their list."""

import numpy as np
import numpy.typing as npt

from sidkit.errors import DataError
from sidkit.train.align.prompts import Prompts
from sidkit.train.align.rewards.base import Float64, Int64, Reward, check_items

__all__ = ["ListDiversity"]


class ListDiversity(Reward):
    """Mean cosine distance of an item from the other items of its list, or of its group in training.

    The mean over the list is the metric `diversity@K`.

    Args:
        vectors: item vectors in the order of the item ids, float (items, d).

    Raises:
        DataError: if they are not finite, or one is zero.
    """

    def __init__(self, vectors: npt.ArrayLike) -> None:
        given = np.asarray(vectors, np.float64)
        norms = np.linalg.norm(given, axis=-1, keepdims=True) if given.ndim == 2 else np.zeros(1)
        if not np.isfinite(given).all() or not (norms > 0).all():
            raise DataError(
                "vectors of a reward are invalid: expected finite numbers (items, d) and no vector of zeros, "
                f"got shape {given.shape}. Repair them."
            )
        self._unit = given / norms

    def of_rows(self, prompts: Prompts, rows: Int64) -> Float64:
        """Return the mean distance of each item, float64 (m, k), 0 in a list of one item."""
        check_items(type(self).__name__, len(self._unit), prompts)
        there = (rows >= 0)[..., None]
        vectors = np.where(there, self._unit[rows], 0.0)  # (m, k, d)
        others = vectors.sum(axis=1, keepdims=True) - vectors
        count = there.sum(axis=1) - 1  # (m, 1)
        similar = (vectors * others).sum(axis=-1)
        return np.where(count > 0, 1 - similar / np.maximum(count, 1), 0.0)
