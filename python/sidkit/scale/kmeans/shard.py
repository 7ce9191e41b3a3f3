"""Shards of the vectors of a residual k-means, as a worker process holds them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._core import KMeansShard
from sidkit.scale.kmeans.source import VectorSource
from sidkit.tokenizers.parts.arrays import Vectors
from sidkit.tokenizers.parts.standardize import Standardizer, plain, squared_deviations
from sidkit.tokenizers.parts.sums import Node, block_sums

__all__ = ["Shard", "ShardGroup"]


class Shard:
    """Consecutive vectors, and what one level of k-means knows of them.

    Args:
        source: the vectors.
        start: first row, a multiple of 65,536.
        stop: the row after the last.
        threads: threads of k-means; None for all cores.
    """

    def __init__(self, source: VectorSource, start: int, stop: int, threads: int | None) -> None:
        self._x = source.read(start, stop)
        self._first = start
        self._threads = threads
        self._level: KMeansShard | None = None

    def moments(self) -> tuple[list[Node], npt.NDArray[np.float32]]:
        """Return the sums of the dimensions, and their largest magnitudes, (dim,)."""
        return block_sums(self._x, plain, self._first), np.abs(self._x).max(axis=0, initial=0)

    def squares(self, mean: npt.NDArray[np.float64]) -> list[Node]:
        """Return the sums of the squared deviations from a mean, (dim,)."""
        return block_sums(self._x, partial(squared_deviations, mean=mean), self._first)

    def standardize(self, standardizer: Standardizer) -> None:
        """Replace the vectors by standardized ones."""
        self._x = standardizer.apply(self._x)

    def rows(self, numbers: npt.NDArray[np.int64]) -> Vectors:
        """Return those of the vectors with these numbers that are here, in their order."""
        own = numbers - self._first
        return self._x[own[(own >= 0) & (own < len(self._x))]]

    def begin(self, codebook_size: int) -> None:
        """Begin the k-means of the present vectors or residuals."""
        self._level = KMeansShard(self._x, codebook_size, first=self._first, threads=self._threads)

    def assign(self, centroids: Vectors) -> tuple[bool, npt.NDArray[np.uint64], list[Node]]:
        """Assign the vectors, and return whether any moved, counts of the centroids, and their sums."""
        changed = self._kmeans.assign(centroids)
        return changed, *self.statistics()

    def statistics(self) -> tuple[npt.NDArray[np.uint64], list[Node]]:
        """Return counts and sums of the vectors of every centroid."""
        nodes, sums = self._kmeans.sums()
        found = [(int(level), int(number), each) for (level, number), each in zip(nodes, sums, strict=True)]
        return self._kmeans.counts(), found

    def kmeans(self, method: str, *arguments: Any) -> Any:
        """Call a method of the `KMeansShard` of this level."""
        return getattr(self._kmeans, method)(*arguments)

    def restart(self, row: int, code: int) -> None:
        """Give a vector to an empty centroid, if the vector is here."""
        if self._first <= row < self._first + len(self._x):
            self._kmeans.restart(row, code)

    def end(self, centroids: Vectors, residual: bool) -> None:
        """End the level; with `residual`, replace the vectors by what the centroids leave of them."""
        codes = self._kmeans.assignment
        self._level = None
        if residual:
            self._x = self._x - centroids[codes]

    @property
    def _kmeans(self) -> KMeansShard:
        assert self._level is not None, "begin comes first"
        return self._level


class ShardGroup:
    """The shards of one worker.

    Args:
        source: the vectors.
        ranges: first row and the row after the last one, of every shard.
        threads: threads of k-means; None for all cores.
    """

    def __init__(self, source: VectorSource, ranges: Sequence[tuple[int, int]], threads: int | None) -> None:
        self._shards = [Shard(source, start, stop, threads) for start, stop in ranges]

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of every shard, and return the results in order."""
        return [getattr(shard, method)(*arguments) for shard in self._shards]
