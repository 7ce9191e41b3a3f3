"""RQ-KMeans by statistics of shards: the codebooks of one machine, bit for bit."""

import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._core import Codebooks, kmeans_choose, kmeans_places, kmeans_sample, kmeans_start
from sidkit._progress import Progress, silent
from sidkit.errors import ConfigError, DataError
from sidkit.scale.kmeans.source import VectorSource
from sidkit.scale.kmeans.workers import Workers, start_workers
from sidkit.tokenizers import RQKMeans
from sidkit.tokenizers.parts.arrays import Vectors
from sidkit.tokenizers.parts.kmeans import level_seed
from sidkit.tokenizers.parts.standardize import Standardizer
from sidkit.tokenizers.parts.sums import SUM_ROWS, Node, merged
from sidkit.tokenizers.quality.usage import warn_of_collapse

__all__ = ["fit_shards", "shard_ranges"]

_ROUNDS, _MOST = 5, 1 << 16


def fit_shards(
    tokenizer: RQKMeans,
    source: VectorSource | str | os.PathLike[str],
    *,
    shards: int | None = None,
    workers: int = 1,
    engine: str = "local",
    address: str | None = None,
    progress: Progress = silent,
) -> RQKMeans:
    """Fit `RQKMeans` on vectors that are divided among workers.

    Every worker reads its rows once and keeps them in memory. In each iteration of Lloyd's algorithm it
    receives the centroids, assigns its rows, and returns counts and sums. Sums are added in an order that
    does not depend on the division, so the codebooks are those of `tokenizer.fit` on all vectors, bit for
    bit, for any number of shards and workers.

    Args:
        tokenizer: settings. `init` is `bisect` or `k-means++`, which look at a sample, or `k-means||`
            (Bahmani et al., 2012), which looks at all vectors in five rounds.
        source: `.npy` file, Parquet file or directory of Parquet files; or a `VectorSource`.
        shards: number of shards; by default one per worker. Each has a multiple of 65,536 rows but the last,
            so fewer are made of few vectors.
        workers: number of workers. One works in this process with the tokenizer's `threads`; each of several
            uses one core.
        engine: `local` (processes) or `ray` (actors).
        address: address of a Ray cluster; None for the present one, or one that is started on this machine.
        progress: called with iterations done and the largest number of iterations.

    Returns:
        `tokenizer`, fitted.

    Raises:
        DataError: if the vectors are invalid, or fewer than codewords.
        ConfigError: if the tokenizer is balanced, or learns from mini-batches or a subsample, which need all
            vectors in one place; or if the engine is unknown.
        SidkitError: if a worker is killed.
    """
    _check(tokenizer, shards, workers)
    vectors = source if isinstance(source, VectorSource) else VectorSource(os.fspath(source))
    if vectors.rows < max(tokenizer.codebook_sizes):
        raise DataError(
            f"there are too few vectors: expected at least {max(tokenizer.codebook_sizes)}, the codes of the "
            f"largest level, got {vectors.rows}. Set a smaller codebook_size."
        )
    ranges = shard_ranges(vectors.rows, shards or workers)
    with start_workers(
        vectors, ranges, engine=engine, workers=workers, address=address, threads=tokenizer.threads
    ) as pool:
        standardizer, dim = _standardize(pool, vectors.rows, tokenizer.standardize)
        found, counts = [], []
        total = tokenizer.levels * tokenizer.iterations
        for level, size in enumerate(tokenizer.codebook_sizes):
            fit = _Level(pool, vectors.rows, size, tokenizer, level_seed(tokenizer.seed, level))
            centroids = fit.lloyd(
                lambda done, level=level: progress(level * tokenizer.iterations + done, total)
            )
            pool.call("end", centroids, level + 1 < tokenizer.levels)
            found.append(centroids)
            counts.append(fit.counts.astype(np.int64))
            progress((level + 1) * tokenizer.iterations, total)
    tokenizer.standardizer_ = standardizer
    tokenizer._codebooks = Codebooks(found)
    tokenizer._dim = dim
    warn_of_collapse(counts, type(tokenizer).__name__)
    return tokenizer


def shard_ranges(rows: int, shards: int) -> list[tuple[int, int]]:
    """Divide rows into at most `shards` ranges of whole blocks of 65,536 rows."""
    blocks = -(-rows // SUM_ROWS)
    cuts = [min(rows, blocks * shard // shards * SUM_ROWS) for shard in range(shards + 1)]
    return [(start, stop) for start, stop in itertools.pairwise(cuts) if start < stop]


def _check(tokenizer: RQKMeans, shards: int | None, workers: int) -> None:
    for name in ("balanced", "batch_size", "subsample"):
        value = getattr(tokenizer, name)
        if value not in (None, False):
            raise ConfigError(
                f"`{name}` needs all vectors in one place: expected a tokenizer without it, got {value}. "
                "Leave it out, or use RQKMeans.fit."
            )
    if workers < 1 or (shards is not None and shards < workers):
        raise ConfigError(
            f"shards do not fit the workers: expected 1 <= workers <= shards, got {workers=}, {shards=}. "
            "Correct them."
        )


def _standardize(pool: Workers, rows: int, enabled: bool) -> tuple[Standardizer, int]:
    """Standardize the vectors of all shards, as `Standardizer.fit_if` does; return also their width."""
    moments = pool.call("moments")
    mean = merged(node for nodes, _ in moments for node in nodes) / rows
    if not enabled:
        return Standardizer.identity(len(mean)), len(mean)
    squares = merged(node for nodes in pool.call("squares", mean) for node in nodes)
    largest = np.max([largest for _, largest in moments], axis=0)
    standardizer = Standardizer.from_moments(mean, np.sqrt(squares / rows), largest)
    pool.call("standardize", standardizer)
    return standardizer, len(mean)


class _Level:
    """k-means of one level; the steps of `kmeans_fit`, over shards."""

    def __init__(self, pool: Workers, rows: int, size: int, tokenizer: RQKMeans, seed: int) -> None:
        self._pool = pool
        self._rows = rows
        self._size = size
        self._tokenizer = tokenizer
        self._seed = seed
        self.counts: npt.NDArray[np.uint64] = np.zeros(size, np.uint64)

    def lloyd(self, progress: Any) -> Vectors:
        """Return the centroids."""
        self._pool.call("begin", self._size)
        centroids = self._first()
        for iteration in range(self._tokenizer.iterations):
            answers = self._pool.call("assign", centroids)
            changed = any(each[0] for each in answers)
            restarted = self._gather([each[1:] for each in answers])
            if iteration and not restarted and not changed:
                return centroids
            present = self.counts > 0
            means = self._sums[present] / self.counts[present, None]
            centroids = centroids.copy()
            centroids[present] = means.astype(np.float32)
            progress(iteration + 1)
        self._gather([each[1:] for each in self._pool.call("assign", centroids)], restart=False)
        return centroids

    def _gather(self, statistics: Sequence[Any], *, restart: bool = True) -> bool:
        """Add up counts and sums; give rows to empty centroids, and return whether there were any."""
        self.counts = np.sum([counts for counts, _ in statistics], axis=0, dtype=np.uint64)
        restarted = restart and bool((self.counts == 0).any()) and self._restart()
        if restarted:
            statistics = self._pool.call("statistics")
            self.counts = np.sum([counts for counts, _ in statistics], axis=0, dtype=np.uint64)
        nodes: list[Node] = [node for _, nodes in statistics for node in nodes]
        self._sums = merged(nodes)
        return restarted

    def _restart(self) -> bool:
        """Give every empty centroid the row that is farthest from its own."""
        left = self.counts.astype(np.int64)
        empty = np.flatnonzero(left == 0)
        # A row is passed over only if it is the last of its centroid, of which there are `size` at most.
        answers = self._pool.call("kmeans", "farthest", len(empty) + self._size)
        distances, rows, codes = (np.concatenate(parts) for parts in zip(*answers, strict=True))
        restarted = False
        places = iter(np.lexsort((rows, -distances)).tolist())
        for code in empty.tolist():
            place = next((place for place in places if left[codes[place]] > 1), None)
            if place is None:
                break
            left[codes[place]] -= 1
            left[code] = 1
            self._pool.call("restart", int(rows[place]), code)
            restarted = True
        return restarted

    def _first(self) -> Vectors:
        """Return the first centroids."""
        init, size, seed = self._tokenizer.init, self._size, self._seed
        if init == "k-means||":
            return self._parallel()
        numbers = kmeans_sample(self._rows, size, init=init, seed=seed)
        return kmeans_start(self._take(numbers), self._rows, size, init=init, seed=seed)

    def _parallel(self) -> Vectors:
        """Return the first centroids by k-means||."""
        size, seed = self._size, self._seed
        numbers = kmeans_places(self._rows, seed, 1)
        candidates = self._take(numbers)
        total = sum(self._pool.call("kmeans", "start_parallel", candidates[0]))
        for number in range(_ROUNDS):
            drawn = np.concatenate(self._pool.call("kmeans", "draw_parallel", number, seed, total))
            drawn = drawn[: _MOST - len(candidates)]
            if not len(drawn):
                break
            fresh = self._take(drawn)
            total = sum(self._pool.call("kmeans", "add_parallel", fresh, len(candidates)))
            candidates = np.concatenate([candidates, fresh])
        weights = np.sum(self._pool.call("kmeans", "weights_parallel", len(candidates)), axis=0)
        missing = max(0, size - len(candidates))
        if missing:
            fillers = kmeans_places(self._rows, seed, 1 + missing)[1:]
            candidates = np.concatenate([candidates, self._take(fillers)])
            weights = np.concatenate([weights, np.ones(missing)])
        return kmeans_choose(candidates, weights, size, drawn=1 + missing, seed=seed)

    def _take(self, numbers: npt.NDArray[np.int64]) -> Vectors:
        """Return rows by their numbers, in this order."""
        order = np.argsort(numbers, kind="stable")
        found = np.concatenate(self._pool.call("rows", numbers[order]))
        taken = np.empty_like(found)
        taken[order] = found
        return taken
