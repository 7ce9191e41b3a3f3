"""Co-occurrence clusters: paths of a recursive spectral clustering of the co-occurrence graph."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import checked
from sidkit._core import kmeans_fit
from sidkit._extras import require
from sidkit._progress import Progress
from sidkit._settings import Count, Depth, Seed, Width
from sidkit.data import Sequences
from sidkit.embed.collaborative import Sparse, cooccurrence
from sidkit.errors import DataError
from sidkit.tokenizers.parts.arrays import Codes, Vectors
from sidkit.tokenizers.parts.checks import check_counts, check_counts_or_none, check_flags, check_seed
from sidkit.tokenizers.parts.kmeans import level_seed
from sidkit.tokenizers.parts.lookup import LookupTokenizer

__all__ = ["CooccurrenceClusters"]

#: Up to this many items, a dense eigendecomposition is faster than the first few eigenvectors.
_DENSE = 600


class CooccurrenceClusters(LookupTokenizer):
    """Tokenizer of collaborative signal alone: the collaborative indexing of P5-CID (Hua et al., 2023).

    The graph of items that occur together in histories is clustered, then each cluster, and so on; the codes
    of an item are its path. A cluster with at most as many items as the level has codes is not split: each of
    its items has its own code, and 0 at the levels below. Choose `levels` and `codebook_size` so that
    `codebook_size ** levels` is a few times the number of items. A prefix is a community of items.

    Clusters come from k-means on normalized eigenvectors (Ng, Jordan & Weiss, 2001) of the graph's normalized
    adjacency matrix. The mean degree is spread over all pairs of items, so that a few peripheral items do not
    become clusters (Zhang & Rohe, 2018).

    An item without interactions is not in the graph. It has the path of the item with the nearest vector, as
    has a new item.

    Args:
        levels: codes per item.
        codebook_size: codewords per level: one number, or one per level.
        balanced: make clusters of equal size, as far as the number of items allows.
        window: two events of a history co-occur if they are at most this many positions apart.
        seed: seed of the eigenvectors' initialization.
        threads: maximum number of threads; None uses all cores. The codes do not depend on it.
    """

    method = "cooccurrence"
    _histories: Sequences | None = None

    def __init__(
        self,
        levels: Depth = 3,
        codebook_size: Width | Sequence[Width] = 32,
        *,
        balanced: bool = False,
        window: Count = 10,
        seed: Seed = 0,
        threads: int | None = None,
    ) -> None:
        self._set_sizes(levels, codebook_size)
        self.balanced = balanced
        self.window = window
        self.seed = seed
        self.threads = threads
        check_counts(self, "window")
        check_counts_or_none(self, "threads")
        check_flags(self, "balanced")
        check_seed(seed)

    @property
    def fit_inputs(self) -> tuple[str, ...]:
        """Training histories."""
        return ("histories",)

    @checked
    def fit(
        self,
        x: npt.ArrayLike,
        y: None = None,
        *,
        histories: Sequences | None = None,
        progress: Progress | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> "CooccurrenceClusters":
        """Learn from co-occurrences in histories.

        Args:
            x: float (n, dim), content vectors of the items, by which `encode` finds their paths.
            y: ignored; present for scikit-learn pipelines.
            histories: histories of item rows, which are rows of `x`: `split.train`, never events of
                validation or test.
            progress: see `Tokenizer.fit`.
            checkpoint: ignored.

        Returns:
            The tokenizer itself.

        Raises:
            DataError: if there are no histories, no items co-occur in them, or an item is not a row of `x`.
        """
        self._histories = histories
        try:
            return super().fit(x, progress=progress, checkpoint=checkpoint)
        finally:
            self._histories = None

    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        if self._histories is None:
            raise DataError(
                "histories are missing: expected training histories, got None. "
                "Call fit(x, histories=split.train)."
            )
        counts = cooccurrence(self._histories, len(x), window=self.window)
        known = np.flatnonzero(counts.sum(axis=1))
        if not len(known):
            raise DataError(
                "there is no collaborative signal: expected items that co-occur in histories, got none in "
                f"{len(self._histories)} histories. Use longer histories, or a tokenizer of content."
            )
        paths = self._paths(counts[known][:, known], progress)
        self._store_paths(x, known, paths)

    def _paths(self, counts: Sparse, progress: Progress | None) -> Codes:
        paths = np.zeros((counts.shape[0], self.levels), np.uint16)
        clusters = [np.arange(len(paths))]
        for level, size in enumerate(self.codebook_sizes):
            parts = []
            for number, members in enumerate(clusters):
                if len(members) <= size:
                    paths[members, level] = np.arange(len(members))
                    continue
                within = counts[members][:, members]
                labels = self._cut(within, size, level_seed(self.seed, level, number))
                paths[members, level] = labels
                parts += [members[labels == label] for label in np.unique(labels)]
            clusters = parts
            if progress is not None:
                progress(level + 1, self.levels, clusters=float(len(clusters)))
        return paths

    def _cut(self, counts: Sparse, size: int, seed: Seed) -> npt.NDArray[np.uint16]:
        """Cluster of each item, uint16 (items,), for more items than clusters."""
        directions = _directions(counts, size, seed)
        lengths = np.linalg.norm(directions, axis=1, keepdims=True)
        points = (directions / np.maximum(lengths, 1e-12)).astype(np.float32)
        _, labels, _ = kmeans_fit(
            points,
            size,
            init="bisect",
            seed=seed,
            capacity=-(-len(points) // size) if self.balanced else None,
            threads=self.threads,
        )
        return labels


def _directions(counts: Sparse, size: int, seed: Seed) -> npt.NDArray[np.float64]:
    """First eigenvectors, (items, size), of a graph's regularized normalized adjacency matrix."""
    items = counts.shape[0]
    degrees = counts.sum(axis=1)
    spread = max(float(degrees.mean()), 1e-9)
    roots = 1 / np.sqrt(degrees + spread)
    if items <= _DENSE:
        dense = (counts.toarray() + spread / items) * roots[:, None] * roots
        return np.asarray(np.linalg.eigh(dense)[1][:, ::-1][:, :size])
    linalg = require("scipy.sparse.linalg", extra="train")

    def multiply(vector: npt.NDArray[np.float64]) -> Any:
        scaled = roots * vector.ravel()
        return roots * (counts @ scaled + spread * scaled.mean())

    operator = linalg.LinearOperator(counts.shape, matvec=multiply, dtype=np.float64)
    start = np.random.default_rng(seed).standard_normal(items)
    # Clusters need separating directions, not many correct digits.
    _, directions = linalg.eigsh(operator, k=size, which="LA", v0=start, tol=1e-6)
    return np.asarray(directions[:, ::-1])
