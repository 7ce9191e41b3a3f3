"""Item vectors from behaviour: what is bought, read or watched together."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sidkit._extras import require
from sidkit.data import Sequences
from sidkit.data.sequences import check_sequences
from sidkit.errors import ConfigError, DataError

__all__ = ["collaborative_embeddings", "cooccurrence"]

#: A `scipy.sparse.csr_array`, which has no types of its own.
Sparse: TypeAlias = Any


def cooccurrence(histories: Sequences, n_items: int, *, window: int = 10) -> Sparse:
    """How often two items occur near each other in one history, symmetric, with nothing on the diagonal.

    Args:
        histories: rows of item indices, oldest first: `split.train`. Never events of validation or test, or
            what is made of this knows the answers.
        n_items: items of the catalogue.
        window: two events count that are at most so many places apart.

    Returns:
        A `scipy.sparse.csr_array`, float64 (n_items, n_items).

    Raises:
        ConfigError: if `window` is less than 1.
        DataError: if an item index is not below `n_items`.
    """
    sparse = require("scipy.sparse", extra="train")
    if window < 1:
        raise ConfigError(f"window must be at least 1, not {window}")
    items = check_sequences("histories", histories).values
    if len(items) and items.max() >= n_items:
        raise DataError(
            f"histories must hold item indices below n_items, {n_items}, but one holds {items.max()}"
        )
    rows = np.repeat(np.arange(len(histories)), histories.lengths)
    counts = sparse.csr_array((n_items, n_items), dtype=np.float64)
    for step in range(1, min(window, int(histories.lengths.max(initial=1)) - 1) + 1):
        near = (rows[:-step] == rows[step:]) & (items[:-step] != items[step:])
        first, second = items[:-step][near], items[step:][near]
        counts += sparse.csr_array((np.ones(len(first)), (first, second)), shape=counts.shape)
    return sparse.csr_array(counts + counts.T)


def collaborative_embeddings(
    histories: Sequences,
    n_items: int,
    *,
    dim: int = 64,
    window: int = 10,
    shift: float = 1.0,
    smoothing: float = 0.75,
    seed: int = 0,
) -> npt.NDArray[np.float32]:
    """Vectors, float32 (n_items, dim), that are near each other for items that occur together.

    Positive pointwise mutual information of items that occur together, less the logarithm of `shift`: the
    matrix that word2vec with `shift` negative samples factorizes (Levy & Goldberg, NIPS
    2014); `smoothing` raises context frequencies to that power, as word2vec does (Levy, Goldberg &
    Dagan, TACL 2015). Since an item is its neighbours' context as they are its own, both have
    one vector here: those whose inner products come nearest the matrix, made symmetric, by its `dim` largest
    eigenvalues.

    An item without such events has the zero vector: nothing is known of it.

    Args:
        histories: rows of item indices, oldest first: `split.train`, never events of validation or test.
        n_items: items of the catalogue.
        dim: of the vectors; what the data does not fill is 0.
        window: two events count that are at most so many places apart.
        shift: at least 1; the greater, the fewer pairs count as related.
        smoothing: in 0..1; 1 for plain frequencies, less for less weight of rare items.
        seed: of the start of the decomposition.

    Raises:
        ConfigError: if a setting makes no sense.
        DataError: if an item index is not below `n_items`, or no two items are related.
    """
    linalg = require("scipy.sparse.linalg", extra="train")
    if dim < 1:
        raise ConfigError(f"dim must be at least 1, not {dim}")
    if not shift >= 1:
        raise ConfigError(f"shift must be at least 1, not {shift}")
    if not 0 <= smoothing <= 1:
        raise ConfigError(f"smoothing must be in 0..1, not {smoothing}")
    counts = cooccurrence(histories, n_items, window=window)
    known = np.flatnonzero(counts.sum(axis=1))
    related = _shifted_information(counts[known][:, known], shift, smoothing)
    vectors = np.zeros((n_items, dim), np.float32)
    if not related.nnz:
        raise DataError(
            f"no two of {n_items} items are related in {len(histories)} histories: "
            "there are no collaborative vectors; hint: quantize content, or give longer histories"
        )
    rank = min(dim, len(known) - 1)
    start = np.random.default_rng(seed).standard_normal(len(known))
    values, directions = linalg.eigsh((related + related.T) / 2, k=rank, which="LA", v0=start)
    order = np.argsort(-values, kind="stable")
    values, directions = values[order], directions[:, order]
    # The sign of a direction is arbitrary: its largest entry is positive.
    directions = directions * np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(rank)])
    vectors[known, :rank] = directions * np.sqrt(np.maximum(values, 0))
    return vectors


def _shifted_information(counts: Sparse, shift: float, smoothing: float) -> Sparse:
    """max(log(P(i, j) / (P(i) P'(j))) - log(shift), 0) of counts without empty rows, sparse."""
    pairs = counts.tocoo()
    totals = counts.sum(axis=1)
    contexts = totals**smoothing
    expected = totals[pairs.row] * contexts[pairs.col] / max(contexts.sum(), 1)
    pairs.data = np.maximum(np.log(pairs.data / expected) - np.log(shift), 0)
    related = pairs.tocsr()
    related.eliminate_zeros()
    return related
