"""Item vectors from a factorization of who met what."""

import numpy as np
import numpy.typing as npt

from sidkit._extras import require
from sidkit.data import Sequences
from sidkit.data.sequences import check_sequences
from sidkit.errors import ConfigError, DataError

__all__ = ["factorization_embeddings"]


def factorization_embeddings(
    histories: Sequences,
    n_items: int,
    *,
    dim: int = 64,
    regularization: float = 0.01,
    confidence: float = 1.0,
    iterations: int = 15,
    seed: int = 0,
) -> npt.NDArray[np.float32]:
    """Vectors, float32 (n_items, dim), that are near each other for items that the same users met.

    The item factors of weighted matrix factorization by alternating least squares (Hu, Koren & Volinsky,
    ICDM 2008, section 4), as the package `implicit` computes them. The order of a history is not looked
    at; an item that occurs in it several times counts as often. Computed on one thread, so that the
    vectors are the same again.

    An item without events has the zero vector: nothing is known of it.

    Args:
        histories: rows of item indices: `split.train`, never events of validation or test.
        n_items: items of the catalogue.
        dim: of the vectors.
        regularization: lambda, of the squared lengths of all factors.
        confidence: alpha, what one event weighs beside the 1 of a pair without any.
        iterations: of both halves of the alternation.
        seed: of the first factors.

    Raises:
        MissingExtraError: if `implicit` is not installed.
        ConfigError: if a setting makes no sense.
        DataError: if an item index is not below `n_items`, or there is no event.
    """
    als = require("implicit.cpu.als", extra="als")
    sparse = require("scipy.sparse", extra="train")
    threads = require("threadpoolctl", extra="als")
    for name, count in (("dim", dim), ("iterations", iterations)):
        if count < 1:
            raise ConfigError(f"{name} must be at least 1, not {count}")
    if not regularization >= 0 or not confidence > 0:
        raise ConfigError(
            "regularization must not be negative and confidence positive, "
            f"not {regularization} and {confidence}"
        )
    items = check_sequences("histories", histories).values
    if not len(items):
        raise DataError("no history has an event, so there is nothing to factorize; hint: quantize content")
    if items.max() >= n_items:
        raise DataError(
            f"histories must hold item indices below n_items, {n_items}, but one holds {items.max()}"
        )
    users = np.repeat(np.arange(len(histories), dtype=np.int32), histories.lengths)
    met = sparse.csr_matrix(
        (np.ones(len(items), np.float32), (users, items)), shape=(len(histories), n_items)
    )
    # Around the constructor too: `implicit` looks there whether the threads of BLAS would fight with its own.
    with threads.threadpool_limits(1, "blas"):
        model = als.AlternatingLeastSquares(
            factors=dim,
            regularization=regularization,
            alpha=confidence,
            iterations=iterations,
            random_state=seed,
            num_threads=1,
        )
        model.fit(met, show_progress=False)
    vectors = np.array(model.item_factors, np.float32)
    vectors[np.bincount(items, minlength=n_items) == 0] = 0
    return vectors
