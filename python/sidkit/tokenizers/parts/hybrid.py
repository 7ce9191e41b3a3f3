"""Hybrid embeddings: content and collaborative vectors, concatenated with given shares of the variance."""

import math

import numpy as np
import numpy.typing as npt

from sidkit._arguments import checked
from sidkit.errors import ConfigError, DataError
from sidkit.tokenizers.parts.arrays import check_vectors
from sidkit.tokenizers.parts.standardize import Standardizer

__all__ = ["collaborative_block", "hybrid_embeddings"]

Vectors = npt.NDArray[np.float32]


@checked
def hybrid_embeddings(
    content: npt.ArrayLike, collaborative: npt.ArrayLike, *, weight: float = 0.5
) -> Vectors:
    """Concatenate content and collaborative embeddings, giving float32 (n, content dim + collaborative dim).

    Each block is scaled to its share of the total variance, `1 - weight` and `weight`, whatever its number of
    dimensions; the total variance is the number of dimensions. A tokenizer of these vectors must not
    standardize them again: use `RQKMeans(standardize=False)`.

    Args:
        content: float (n, dim), one row per item.
        collaborative: float (n, dim), such as `collaborative_embeddings` or the item vectors of a trained
            SASRec. A row of zeros is an item without interactions; it becomes the mean.
        weight: share of the collaborative embeddings, in 0..1.

    Raises:
        ConfigError: if `weight` is not in 0..1.
        DataError: if the arrays are not finite vectors of the same items, or a block is constant.
    """
    if not 0 <= weight <= 1:
        raise ConfigError(f"`weight` is invalid: expected a number in 0..1, got {weight!r}.")
    one, other = check_vectors(content), check_vectors(collaborative)
    if len(one) != len(other):
        raise DataError(
            "content and collaborative embeddings do not fit: expected one row per item in both, got "
            f"{len(one)} and {len(other)}."
        )
    z = Standardizer.fit(one).apply(one)
    blocks = [
        math.sqrt(1 - weight) * _of_unit_variance(z, "content"),
        math.sqrt(weight) * collaborative_block(other) / math.sqrt(other.shape[1]),
    ]
    combined = np.concatenate(blocks, axis=1)
    return (combined * math.sqrt(combined.shape[1])).astype(np.float32)


@checked
def collaborative_block(collaborative: npt.ArrayLike) -> Vectors:
    """Scale collaborative embeddings, float32 (n, dim), to mean 0 and a total variance of `dim`.

    Rows of zeros stay zero. Dimensions keep their proportions, since the last ones of a decomposition are
    mostly noise.

    Raises:
        DataError: if the array does not contain finite vectors, or they are constant.
    """
    vectors = check_vectors(collaborative).astype(np.float64)
    known: npt.NDArray[np.bool_] = np.any(vectors != 0, axis=1)
    vectors[known] -= vectors[known].mean(axis=0) if known.any() else 0
    spread = _of_unit_variance(vectors, "collaborative", known)
    return (spread * math.sqrt(vectors.shape[1])).astype(np.float32)


def _of_unit_variance(
    centred: npt.NDArray[np.floating], name: str, known: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.float64]:
    """Scale centred vectors so that the squared length of a known row is 1 on average."""
    rows = centred if known is None else centred[known]
    variance = float(np.square(rows, dtype=np.float64).sum(axis=1).mean()) if len(rows) else 0.0
    if not variance > 0:
        raise DataError(f"the {name} embeddings are constant: expected vectors that differ, got equal ones.")
    return centred.astype(np.float64) / math.sqrt(variance)
