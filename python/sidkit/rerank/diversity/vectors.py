"""Vectors that re-rankers compare items by."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.errors import ConfigError, DataError
from sidkit.rerank.base import Float32, Int32, ItemFeatures

__all__ = ["candidate_vectors", "unit_range"]


def candidate_vectors(
    items: Int32, given: npt.ArrayLike | None, features: ItemFeatures, *, method: str
) -> tuple[Int32, Float32]:
    """Return vectors for the candidates, and the candidates as rows of these.

    An array of float32 is used as it is. Of any other, such as a memory-mapped file of float16, only the rows
    of candidates are read and converted.

    Args:
        items: item rows int32 (m, candidates), -1 for none.
        given: vectors of all items, (items, d), or None for the learned ones.
        features: facts about the items.
        method: name of the re-ranker, for messages.

    Raises:
        ConfigError: if there are no vectors.
        DataError: if there is not one vector per item.
    """
    vectors: Any = features.vectors if given is None else given
    if vectors is None:
        raise ConfigError(
            f"`{method}` needs item vectors: expected a recommender that learns some, such as SASRec, or "
            "vectors of its own, got neither. Set its argument `vectors`, for example to the result of "
            "`embed_items`."
        )
    vectors = vectors if isinstance(vectors, np.ndarray) else np.asarray(vectors)
    if vectors.ndim != 2 or len(vectors) != len(features.item_ids) or not vectors.shape[1]:
        raise DataError(
            f"`vectors` of `{method}` do not fit the catalogue: expected ({len(features.item_ids)}, d), one "
            f"row per item, got {vectors.shape}"
        )
    if vectors.dtype == np.float32 and vectors.flags.c_contiguous:
        return np.ascontiguousarray(items), vectors
    rows, places = np.unique(items, return_inverse=True)
    small = np.ascontiguousarray(vectors[np.maximum(rows, 0)], dtype=np.float32)
    return np.where(items < 0, -1, places.reshape(items.shape)).astype(np.int32), small


def unit_range(items: Int32, scores: Float32) -> Float32:
    """Map the scores of each list linearly to 0 to 1; if all are equal, to 1.

    Args:
        items: candidates (m, candidates), -1 for none.
        scores: their scores (m, candidates).
    """
    there = items >= 0
    highest = np.where(there, scores, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
    lowest = np.where(there, scores, np.inf).min(axis=1, initial=np.inf, keepdims=True)
    spread = np.where(highest > lowest, highest - lowest, np.inf)
    with np.errstate(invalid="ignore"):
        mapped = 1 - (highest - scores) / spread
    return np.where(there, mapped, 0).astype(np.float32)
