"""Synthetic catalogues of any size in which the optimal recommendations are known.

    python -m sidkit.data world --items 1000000 --users 250000

writes `items.parquet`, `interactions.parquet` and `vectors.npy` for `load_dataset` and `load_vectors`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Count, Seed, Shape, Size, checked
from sidkit._files import atomic_directory
from sidkit.data.sequences import Sequences
from sidkit.errors import ConfigError

__all__ = ["MarkovWorld"]

Int64 = npt.NDArray[np.int64]
Rows = npt.NDArray[np.integer[Any]]
Float64 = npt.NDArray[np.float64]

#: Users, or items of the table of items, of one row group.
_BLOCK = 1 << 16
_GOLDEN = 0.6180339887498949
_FIRST_START, _YEAR = 1_700_000_000, 365 * 86_400
# First element of the seeds of independent streams of random numbers.
_CLUSTERS, _VECTORS, _SESSIONS = 0, 1, 2


@checked
@dataclass(frozen=True, kw_only=True)
class MarkovWorld:
    """A catalogue of clusters, and sessions from a Markov process over the clusters.

    The next item depends on the cluster of the last item only. A session moves from cluster `c` to one of
    `len(transitions)` other clusters with the probabilities `transitions`, and then takes an item of this
    cluster by popularity, which falls as a power of the rank: `1 / (rank + 1) ** popularity_exponent`. Every
    cluster is visited equally often. `best_items` returns the optimal ranking, and `expected_recall` its
    Recall@k; a recommender without access to the process has to learn clusters, transitions and popularity.

    The vector of an item is the centre of its cluster, of about unit length, plus Gaussian noise. The order
    of the items shows neither cluster nor popularity. Everything is generated in blocks, so that memory does
    not grow with the number of events, and is the same for the same settings.

        >>> world = MarkovWorld(items=1000, clusters=10)
        >>> world.vectors(0, 2).shape, round(world.expected_recall(10), 2)
        ((2, 64), 0.47)

    Args:
        items: number of items.
        clusters: number of clusters; None for the square root of `items`.
        dim: width of the vectors.
        noise: length of the noise of a vector, relative to that of the centres.
        transitions: probabilities of the clusters that follow a cluster; they sum to 1.
        popularity_exponent: exponent of the power law.
        min_events: length of the shortest session.
        max_events: length of the longest session; lengths are uniform.
        seed: seed of all random numbers.

    Raises:
        ConfigError: if a setting is out of range.
    """

    items: Count
    clusters: Count | None = None
    dim: Count = 64
    noise: float = 0.5
    transitions: tuple[float, ...] = (0.6, 0.3, 0.1)
    popularity_exponent: float = 1.1
    min_events: Count = 5
    max_events: Count = 35
    seed: Seed = 0

    def __post_init__(self) -> None:
        count = self.cluster_count
        if not len(self.transitions) < count <= self.items:
            raise ConfigError(
                f"`clusters` is invalid: expected {len(self.transitions) + 1} to {self.items}, more than "
                f"there are transitions and at most one per item, got {count}. Correct it."
            )
        if not (math.isclose(sum(self.transitions), 1) and min(self.transitions) > 0):
            raise ConfigError(
                f"`transitions` are invalid: expected probabilities whose sum is 1, got {self.transitions}. "
                "Correct them."
            )
        if not (self.dim >= 1 and 1 <= self.min_events <= self.max_events and self.items < 2**31):
            raise ConfigError(
                "a world cannot be made: expected dim >= 1, 1 <= min_events <= max_events and items < 2**31, "
                f"got {self.dim}, {self.min_events}, {self.max_events} and {self.items}. Correct them."
            )

    @property
    def cluster_count(self) -> int:
        """Number of clusters."""
        return max(1, round(math.sqrt(self.items))) if self.clusters is None else self.clusters

    def cluster_of(self, rows: Rows) -> Int64:
        """Return the cluster of items, int64 of the shape of `rows`."""
        return self._slots(rows) % self.cluster_count

    def vectors(self, start: Size, stop: Size) -> npt.NDArray[np.float16]:
        """Return the vectors of the items of rows `start` to `stop`, float16 (stop - start, dim).

        The same rows have the same vectors if they begin at the same multiple of 65,536.
        """
        _check_range(start, stop)
        random = np.random.default_rng((_VECTORS, self.seed, start))
        noise = random.standard_normal((stop - start, self.dim), dtype=np.float32)
        centres = self._centres[self.cluster_of(np.arange(start, stop))]
        return (centres + np.float32(self.noise / math.sqrt(self.dim)) * noise).astype(np.float16)

    def sessions(self, start: Size, stop: Size) -> Sequences:
        """Return the sessions of users `start` to `stop`, one row of item rows per user, oldest first.

        The same users have the same sessions if they begin at the same multiple of 65,536.
        """
        _check_range(start, stop)
        random, users = np.random.default_rng((_SESSIONS, self.seed, start)), stop - start
        lengths = random.integers(self.min_events, self.max_events + 1, size=users)
        items = np.empty((users, self.max_events), np.int32)
        cluster = random.integers(self.cluster_count, size=users)
        thresholds = np.cumsum(self.transitions)[:-1]
        for step in range(self.max_events):
            if step:
                cluster = self._successors[
                    cluster, np.searchsorted(thresholds, random.random(users), "right")
                ]
            items[:, step] = self._rows_at(cluster, self._ranks(cluster, random.random(users)))
        kept = np.arange(self.max_events) < lengths[:, None]
        return Sequences.from_lengths(items[kept], lengths)

    def best_items(
        self, last: Annotated[Rows, Shape("histories")], k: Count
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return the most probable next items after the last item of each history, the optimal ranking.

        Args:
            last: rows of items, integers (m,).
            k: items per history.

        Returns:
            Rows of items int32 (m, k), best first, padded with -1, and their natural-log probabilities
            float32 (m, k), padded with -inf. No item is excluded.
        """
        rows, probabilities = self._best(k)
        cluster = self.cluster_of(np.asarray(last))
        with np.errstate(divide="ignore"):
            return rows[cluster], np.log(probabilities[cluster]).astype(np.float32)

    def expected_recall(self, k: Count = 10) -> float:
        """Return the expected Recall@k of `best_items`, with seen items included."""
        return float(self._best(k)[1].sum(axis=1).mean())

    def popularity_recall(self, k: Count = 10) -> float:
        """Return the expected Recall@k of the k most popular items of the catalogue."""
        shares = [self._popularity(size)[:k] for size in self._sizes.tolist()]
        return float(np.sort(np.concatenate(shares))[::-1][:k].sum() / self.cluster_count)

    def write(
        self, directory: str | Path, users: int, *, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Write the world as a dataset with vectors, atomically.

        `items.parquet` holds `item_id` (row + 1) and `cluster`, `interactions.parquet` holds `user_id`,
        `item_id` and `timestamp`, user by user, oldest first, and `vectors.npy` the float16 vectors (items,
        dim) in the order of the items.

        Args:
            directory: directory to write; an existing one is replaced.
            users: number of sessions.
            progress: called as `progress(done, total)` with numbers of items and users.
        """
        total, done = self.items + users, 0
        with atomic_directory(directory) as temporary:
            for write, count in (
                (self._write_items, self.items),
                (self._write_interactions, users),
            ):
                for block in write(temporary, count):
                    done += block
                    if progress is not None:
                        progress(done, total)

    def _write_items(self, directory: Path, count: int) -> Iterator[int]:
        import pyarrow
        from pyarrow import parquet

        schema = pyarrow.schema([("item_id", pyarrow.int64()), ("cluster", pyarrow.int32())])
        head = {"descr": "<f2", "fortran_order": False, "shape": (count, self.dim)}
        with (
            parquet.ParquetWriter(directory / "items.parquet", schema) as table,
            (directory / "vectors.npy").open("wb") as vectors,
        ):
            np.lib.format.write_array_header_1_0(vectors, head)
            for start in range(0, count, _BLOCK):
                rows = np.arange(start, min(start + _BLOCK, count))
                columns = [rows + 1, self.cluster_of(rows).astype(np.int32)]
                table.write_table(pyarrow.table(columns, schema=schema))
                self.vectors(start, start + len(rows)).tofile(vectors)
                yield len(rows)

    def _write_interactions(self, directory: Path, count: int) -> Iterator[int]:
        import pyarrow
        from pyarrow import parquet

        schema = pyarrow.schema([(name, pyarrow.int64()) for name in ("user_id", "item_id", "timestamp")])
        with parquet.ParquetWriter(directory / "interactions.parquet", schema) as table:
            for start in range(0, count, _BLOCK):
                stop = min(start + _BLOCK, count)
                sessions = self.sessions(start, stop)
                began = np.random.default_rng((_SESSIONS, self.seed, start, 1)).integers(
                    _YEAR, size=stop - start
                )
                user = np.repeat(np.arange(stop - start), sessions.lengths)
                step = np.arange(len(user)) - sessions.offsets[user]
                times = _FIRST_START + began[user] + 60 * step
                columns = [user + start + 1, sessions.values.astype(np.int64) + 1, times]
                table.write_table(pyarrow.table(columns, schema=schema))
                yield stop - start

    @cached_property
    def _centres(self) -> npt.NDArray[np.float32]:
        random = np.random.default_rng((_CLUSTERS, self.seed))
        centres = random.standard_normal((self.cluster_count, self.dim), dtype=np.float32)
        return centres / np.float32(math.sqrt(self.dim))

    @cached_property
    def _successors(self) -> Int64:
        """Clusters that follow each cluster, int64 (clusters, transitions).

        All clusters lie on a ring in random order, and the j-th successor is a fixed number of places ahead:
        successors are distinct, and every cluster is equally often the j-th successor of another.
        """
        random = np.random.default_rng((_CLUSTERS, self.seed, 1))
        ring = random.permutation(self.cluster_count)
        place = np.argsort(ring)
        ahead = 1 + random.choice(self.cluster_count - 1, len(self.transitions), replace=False)
        return np.asarray(ring[(place[:, None] + ahead) % self.cluster_count])

    @cached_property
    def _multiplier(self) -> int:
        """A number prime to `items`, near the golden section, by which rows are scattered over slots."""
        multiplier = max(1, round(self.items * _GOLDEN))
        while math.gcd(multiplier, self.items) > 1:
            multiplier += 1
        return multiplier

    def _slots(self, rows: npt.NDArray[np.integer[Any]]) -> Int64:
        """Slots of items; a slot is `rank * clusters + cluster`."""
        return np.asarray(rows, np.int64) * self._multiplier % self.items

    def _rows_at(self, cluster: Int64, rank: Int64) -> Int64:
        """Rows of the items of these ranks in these clusters, the inverse of `_slots`."""
        inverse = pow(self._multiplier, -1, self.items)
        return (rank * self.cluster_count + cluster) * inverse % self.items

    @cached_property
    def _sizes(self) -> Int64:
        """Items of each cluster, int64 (clusters,): `items / clusters`, rounded up or down."""
        count = self.cluster_count
        return (self.items - np.arange(count) + count - 1) // count

    def _popularity(self, size: int) -> Float64:
        """Share of the events of a cluster of each rank, float64 (size,)."""
        weights = np.arange(1, size + 1, dtype=np.float64) ** -self.popularity_exponent
        shares: Float64 = weights / weights.sum()
        return shares

    @cached_property
    def _cumulative(self) -> dict[int, Float64]:
        """Cumulative popularity by the size of a cluster, of which there are at most two."""
        return {size: np.cumsum(self._popularity(size)) for size in np.unique(self._sizes).tolist()}

    def _ranks(self, cluster: Int64, draws: Float64) -> Int64:
        """Ranks of items drawn by popularity, given uniform draws in [0, 1)."""
        sizes = self._sizes[cluster]
        ranks = np.empty(len(cluster), np.int64)
        for size, cumulative in self._cumulative.items():
            those = sizes == size
            ranks[those] = np.minimum(np.searchsorted(cumulative, draws[those], "right"), size - 1)
        return ranks

    def _best(self, k: Count) -> tuple[npt.NDArray[np.int32], Float64]:
        """Best items after each cluster, int32 and float64 (clusters, k)."""
        count, width = self.cluster_count, min(k, int(self._sizes.max()))
        after = np.zeros((count, width))  # probability of the first ranks of each cluster
        for size in self._cumulative:
            after[self._sizes == size, : min(width, size)] = self._popularity(size)[:width]
        probabilities = after[self._successors] * np.asarray(self.transitions)[:, None]  # (C, J, width)
        rows = self._rows_at(self._successors[:, :, None], np.arange(width))
        probabilities, rows = probabilities.reshape(count, -1), rows.reshape(count, -1)
        order = np.lexsort((rows, -probabilities))[:, :k]
        found = np.full((count, k), -1, np.int32), np.zeros((count, k))
        found[1][:, : order.shape[1]] = np.take_along_axis(probabilities, order, 1)
        found[0][:, : order.shape[1]] = np.take_along_axis(rows, order, 1)
        found[0][found[1] == 0] = -1
        return found


def _check_range(start: int, stop: int) -> None:
    if stop < start:
        raise ConfigError(f"`stop` is invalid: expected an integer >= {start}, the start, got {stop}.")
