"""Item embeddings from matrix factorization."""

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Count, Seed, checked
from sidkit._extras import require
from sidkit.data import Sequences
from sidkit.data.sequences import check_sequences
from sidkit.errors import ConfigError, DataError

__all__ = ["factorization_embeddings"]


@checked
def factorization_embeddings(
    histories: Sequences,
    n_items: Count,
    *,
    dim: Count = 64,
    regularization: float = 0.01,
    confidence: float = 1.0,
    iterations: Count = 15,
    seed: Seed = 0,
) -> npt.NDArray[np.float32]:
    """Compute item vectors, float32 (n_items, dim), that are close for items with the same users.

    The item factors of weighted matrix factorization by alternating least squares (Hu, Koren & Volinsky,
    ICDM 2008, section 4), computed by the package `implicit`. The order of a history is ignored; repeated
    items count repeatedly. The computation uses one thread, so that it is reproducible.

    An item without events has the zero vector.

    Args:
        histories: histories of item rows: `split.train`, never events of validation or test.
        n_items: number of items of the catalogue.
        dim: dimensions of the vectors.
        regularization: lambda, weight of the squared lengths of all factors.
        confidence: alpha, weight of one event; a pair without events has weight 1.
        iterations: number of alternations.
        seed: seed of the initial factors.

    Raises:
        MissingExtraError: if `implicit` is not installed.
        ConfigError: if a parameter is invalid.
        DataError: if an item row is not below `n_items`, or there are no events.
    """
    als = require("implicit.cpu.als", extra="als")
    sparse = require("scipy.sparse", extra="train")
    threads = require("threadpoolctl", extra="als")
    for name, count in (("dim", dim), ("iterations", iterations)):
        if count < 1:
            raise ConfigError(f"`{name}` is invalid: expected an integer >= 1, got {count!r}.")
    if not regularization >= 0 or not confidence > 0:
        raise ConfigError(
            "the weights are invalid: expected regularization >= 0 and confidence > 0, got "
            f"{regularization} and {confidence}."
        )
    items = check_sequences("histories", histories).values
    if not len(items):
        raise DataError(
            "there is nothing to factorize: expected histories with events, got none. Use content embeddings."
        )
    if items.max() >= n_items:
        raise DataError(
            f"histories do not fit the catalogue: expected item rows below {n_items}, got {items.max()}."
        )
    users = np.repeat(np.arange(len(histories), dtype=np.int32), histories.lengths)
    events = sparse.csr_matrix(
        (np.ones(len(items), np.float32), (users, items)), shape=(len(histories), n_items)
    )
    # The constructor of `implicit` checks the threads of BLAS too.
    with threads.threadpool_limits(1, "blas"):
        model = als.AlternatingLeastSquares(
            factors=dim,
            regularization=regularization,
            alpha=confidence,
            iterations=iterations,
            random_state=seed,
            num_threads=1,
        )
        model.fit(events, show_progress=False)
    vectors = np.array(model.item_factors, np.float32)
    vectors[np.bincount(items, minlength=n_items) == 0] = 0
    return vectors
