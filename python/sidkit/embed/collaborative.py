"""Collaborative embeddings: item vectors from co-occurrences in histories."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Count, Seed, checked
from sidkit._extras import require
from sidkit.data import Sequences
from sidkit.data.sequences import check_sequences
from sidkit.errors import ConfigError, DataError

__all__ = ["collaborative_embeddings", "cooccurrence"]

#: A `scipy.sparse.csr_array`, which is not typed.
Sparse: TypeAlias = Any


def cooccurrence(histories: Sequences, n_items: Count, *, window: Count = 10) -> Sparse:
    """Count how often two items occur near each other in a history; symmetric, with an empty diagonal.

    Args:
        histories: histories of item rows, oldest first: `split.train`. Events of validation or test would
            leak the targets.
        n_items: number of items of the catalogue.
        window: two events co-occur if they are at most this many positions apart.

    Returns:
        A `scipy.sparse.csr_array`, float64 (n_items, n_items).

    Raises:
        ConfigError: if `window` is less than 1.
        DataError: if an item row is not below `n_items`.
    """
    sparse = require("scipy.sparse", extra="train")
    if window < 1:
        raise ConfigError(f"`window` is invalid: expected an integer >= 1, got {window!r}.")
    items = check_sequences("histories", histories).values
    if len(items) and items.max() >= n_items:
        raise DataError(
            f"histories do not fit the catalogue: expected item rows below {n_items}, got {items.max()}."
        )
    rows = np.repeat(np.arange(len(histories)), histories.lengths)
    counts = sparse.csr_array((n_items, n_items), dtype=np.float64)
    for step in range(1, min(window, int(histories.lengths.max(initial=1)) - 1) + 1):
        near = (rows[:-step] == rows[step:]) & (items[:-step] != items[step:])
        first, second = items[:-step][near], items[step:][near]
        counts += sparse.csr_array((np.ones(len(first)), (first, second)), shape=counts.shape)
    return sparse.csr_array(counts + counts.T)


@checked
def collaborative_embeddings(
    histories: Sequences,
    n_items: Count,
    *,
    dim: Count = 64,
    window: Count = 10,
    shift: float = 1.0,
    smoothing: float = 0.75,
    seed: Seed = 0,
) -> npt.NDArray[np.float32]:
    """Compute item vectors, float32 (n_items, dim), that are close for items that occur together.

    They factorize the shifted positive pointwise mutual information of co-occurrences, the matrix that
    word2vec with `shift` negative samples factorizes (Levy & Goldberg, NIPS 2014). `smoothing` is the
    exponent of context frequencies, as in word2vec (Levy, Goldberg & Dagan, TACL 2015). Items and contexts
    share one vector: the symmetrized matrix is approximated by its `dim` largest eigenvalues.

    An item without co-occurrences has the zero vector.

    Args:
        histories: histories of item rows, oldest first: `split.train`, never events of validation or test.
        n_items: number of items of the catalogue.
        dim: dimensions of the vectors; those beyond the rank of the data are 0.
        window: two events co-occur if they are at most this many positions apart.
        shift: at least 1; a larger value relates fewer pairs.
        smoothing: exponent in 0..1; 1 for plain frequencies, less to reduce the weight of rare items.
        seed: seed of the eigenvectors' initialization.

    Raises:
        ConfigError: if a parameter is invalid.
        DataError: if an item row is not below `n_items`, or no two items are related.
    """
    linalg = require("scipy.sparse.linalg", extra="train")
    if dim < 1:
        raise ConfigError(f"`dim` is invalid: expected an integer >= 1, got {dim!r}.")
    if not shift >= 1:
        raise ConfigError(f"`shift` is invalid: expected a number >= 1, got {shift!r}.")
    if not 0 <= smoothing <= 1:
        raise ConfigError(f"`smoothing` is invalid: expected a number in 0..1, got {smoothing!r}.")
    counts = cooccurrence(histories, n_items, window=window)
    known = np.flatnonzero(counts.sum(axis=1))
    related = _shifted_information(counts[known][:, known], shift, smoothing)
    vectors = np.zeros((n_items, dim), np.float32)
    if not related.nnz:
        raise DataError(
            f"there is no collaborative signal: expected items that co-occur in {len(histories)} histories, "
            f"got no related pair of {n_items} items. Use longer histories, or content embeddings."
        )
    rank = min(dim, len(known) - 1)
    start = np.random.default_rng(seed).standard_normal(len(known))
    values, directions = linalg.eigsh((related + related.T) / 2, k=rank, which="LA", v0=start)
    order = np.argsort(-values, kind="stable")
    values, directions = values[order], directions[:, order]
    # The sign of a direction is arbitrary; make its largest entry positive.
    directions = directions * np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(rank)])
    vectors[known, :rank] = directions * np.sqrt(np.maximum(values, 0))
    return vectors


def _shifted_information(counts: Sparse, shift: float, smoothing: float) -> Sparse:
    """Compute max(log(P(i, j) / (P(i) P'(j))) - log(shift), 0) of counts without empty rows, sparse."""
    pairs = counts.tocoo()
    totals = counts.sum(axis=1)
    contexts = totals**smoothing
    expected = totals[pairs.row] * contexts[pairs.col] / max(contexts.sum(), 1)
    pairs.data = np.maximum(np.log(pairs.data / expected) - np.log(shift), 0)
    related = pairs.tocsr()
    related.eliminate_zeros()
    return related
