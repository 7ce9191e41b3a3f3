"""Vectors of several sources side by side, each with its share of the variance."""

import math

import numpy as np
import numpy.typing as npt

from sidkit.errors import ConfigError, DataError
from sidkit.tokenizers.parts.arrays import check_vectors
from sidkit.tokenizers.parts.standardize import Standardizer

__all__ = ["collaborative_block", "hybrid_embeddings"]

Vectors = npt.NDArray[np.float32]


def hybrid_embeddings(content: npt.ArrayLike, behaviour: npt.ArrayLike, *, weight: float = 0.5) -> Vectors:
    """Content and behaviour side by side, float32 (n, content dim + behaviour dim).

    Each block is standardized to the same total variance and then has its share of it, `1 - weight` and
    `weight`, however many dimensions it has; all together it is the number of dimensions. So a tokenizer of
    these vectors must not standardize them again: `RQKMeans(standardize=False)`.

    Args:
        content: float (n, dim), one row an item.
        behaviour: float (n, dim), such as `collaborative_embeddings` or the item table of a trained SASRec.
            A row of zeros is an item of which nothing is known; it becomes the mean.
        weight: of behaviour, in 0..1.

    Raises:
        ConfigError: if `weight` is not in 0..1.
        DataError: if the arrays are not finite vectors of the same items, or a block never varies.
    """
    if not 0 <= weight <= 1:
        raise ConfigError(f"weight must be in 0..1, not {weight}")
    one, other = check_vectors(content), check_vectors(behaviour)
    if len(one) != len(other):
        raise DataError(
            f"content and behaviour must have a row for every item, but they have {len(one)} and {len(other)}"
        )
    z = Standardizer.fit(one).apply(one)
    blocks = [
        math.sqrt(1 - weight) * _of_unit_variance(z, "content"),
        math.sqrt(weight) * collaborative_block(other) / math.sqrt(other.shape[1]),
    ]
    joined = np.concatenate(blocks, axis=1)
    return (joined * math.sqrt(joined.shape[1])).astype(np.float32)


def collaborative_block(behaviour: npt.ArrayLike) -> Vectors:
    """Behaviour alone, float32 (n, dim), with mean 0 and a total variance of `dim`; rows of zeros stay so.

    Dimensions keep their proportions, since the last ones of a decomposition are mostly noise.

    Raises:
        DataError: if the array is not finite vectors, or they never vary.
    """
    vectors = check_vectors(behaviour).astype(np.float64)
    known: npt.NDArray[np.bool_] = np.any(vectors != 0, axis=1)
    vectors[known] -= vectors[known].mean(axis=0) if known.any() else 0
    spread = _of_unit_variance(vectors, "behaviour", known)
    return (spread * math.sqrt(vectors.shape[1])).astype(np.float32)


def _of_unit_variance(
    centred: npt.NDArray[np.floating], name: str, known: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.float64]:
    """Vectors of mean 0 scaled so that the squares of a known row sum up to 1 on average."""
    rows = centred if known is None else centred[known]
    variance = float(np.square(rows, dtype=np.float64).sum(axis=1).mean()) if len(rows) else 0.0
    if not variance > 0:
        raise DataError(f"the {name} vectors are the same for every item, so nothing can be learned of them")
    return centred.astype(np.float64) / math.sqrt(variance)
