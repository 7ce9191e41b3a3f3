"""Paths of a recursive spectral clustering of what occurs together."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._core import kmeans_fit
from sidkit._extras import require
from sidkit.data import Sequences
from sidkit.embed.collaborative import Sparse, cooccurrence
from sidkit.errors import DataError
from sidkit.tokenizers.base import Codes, Progress, Vectors
from sidkit.tokenizers.parts.checks import check_counts, check_counts_or_none, check_seed
from sidkit.tokenizers.parts.kmeans import level_seed
from sidkit.tokenizers.parts.lookup import LookupTokenizer

__all__ = ["CooccurrenceClusters"]

#: Up to so many items, all eigenvectors at once are quicker than the first few.
_DENSE = 600


class CooccurrenceClusters(LookupTokenizer):
    """Codes of behaviour alone: the collaborative indexing of P5-CID (Hua et al., 2023).

    The graph of what occurs together in histories is cut into clusters, each of these again, and so on; an
    item's code is its path. A cluster of no more items than the level has codes is not cut: its items have a
    code each, and 0 at the levels below. Levels and codes are well chosen if codes to the power of levels is
    a few times the number of items; each level is part of a partition, so a prefix is a community.

    Clusters are those of k-means on normalized eigenvectors (Ng, Jordan & Weiss, 2001) of the graph's
    normalized adjacency matrix, with the mean degree spread over all pairs of items so that a few items on
    the edge of the graph are not taken for clusters (Zhang & Rohe, 2018).

    An item without behaviour has no place in the graph. It has the path of the item with the nearest vector;
    so has a new one.

    Args:
        levels: codes per item.
        codebook_size: codewords per level; one number, or one a level.
        balanced: clusters of equal size, as far as the number of items allows.
        window: two events of a history occur together that are at most so many places apart.
        seed: of the eigenvectors' start.
        threads: at most; all cores if None. The codes do not depend on it.
    """

    method = "cooccurrence"
    _histories: Sequences | None = None

    def __init__(
        self,
        levels: int = 3,
        codebook_size: int | Sequence[int] = 32,
        *,
        balanced: bool = False,
        window: int = 10,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        self._keep_shape(levels, codebook_size)
        self.balanced = balanced
        self.window = window
        self.seed = seed
        self.threads = threads
        check_counts(self, "window")
        check_counts_or_none(self, "threads")
        check_seed(seed)

    def fit(
        self,
        x: npt.ArrayLike,
        *,
        histories: Sequences | None = None,
        progress: Progress | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> "CooccurrenceClusters":
        """Learn from what occurs together.

        Args:
            x: float (n, dim), content of the items, by which their paths are found again.
            histories: rows of item indices, which are rows of `x`: `split.train`, never events of validation
                or test.
            progress: as of every tokenizer.
            checkpoint: as of every tokenizer.

        Returns:
            The tokenizer itself.

        Raises:
            DataError: if there are no histories, or nothing occurs together in them, or they hold an item
                that is no row of `x`.
        """
        self._histories = histories
        try:
            return super().fit(x, progress=progress, checkpoint=checkpoint)
        finally:
            self._histories = None

    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        if self._histories is None:
            raise DataError("clusters of behaviour need behaviour; hint: fit(x, histories=split.train)")
        counts = cooccurrence(self._histories, len(x), window=self.window)
        known = np.flatnonzero(counts.sum(axis=1))
        if not len(known):
            raise DataError(
                f"nothing occurs together in {len(self._histories)} histories; "
                "hint: longer ones, or a tokenizer of content"
            )
        paths = self._paths(counts[known][:, known], progress)
        self._learn(x, known, paths)

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
                progress(level + 1, self.levels, {"clusters": float(len(clusters))})
        return paths

    def _cut(self, counts: Sparse, size: int, seed: int) -> npt.NDArray[np.uint16]:
        """The cluster of each item, uint16 (items,), of more items than clusters."""
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


def _directions(counts: Sparse, size: int, seed: int) -> npt.NDArray[np.float64]:
    """The first eigenvectors, (items, size), of a graph's regularized normalized adjacency matrix."""
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
    # The clusters need directions that part them, not tokens.
    _, directions = linalg.eigsh(operator, k=size, which="LA", v0=start, tol=1e-6)
    return np.asarray(directions[:, ::-1])
