"""Whether items that are near by content are near by their codes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sidkit.errors import ConfigError, DataError

if TYPE_CHECKING:
    from sidkit.tokenizers.base import Tokenizer

__all__ = ["NeighbourRecall", "neighbour_recall"]

_BLOCK = 64


@dataclass(frozen=True)
class NeighbourRecall:
    """Neighbourhood recall in code space.

    Attributes:
        k: neighbours looked for.
        queries: items asked for theirs.
        pool: items among which neighbours are looked for; all, or a sample that holds the queries.
        seed: of both samples.
        prefix: the share of an item's k nearest by cosine that are among the k that share the longest
            prefix with it, in the mean of the queries.
        recall: the same, where items with equally long prefixes are ordered by the distance of what their
            codes decode to.
        chance: what random codes would reach.
    """

    k: int
    queries: int
    pool: int
    seed: int
    prefix: float
    recall: float
    chance: float


def neighbour_recall(
    tokenizer: "Tokenizer",
    vectors: npt.ArrayLike,
    codes: npt.ArrayLike,
    *,
    k: int = 10,
    queries: int = 1000,
    pool: int = 100_000,
    seed: int = 0,
) -> NeighbourRecall:
    """Measure how many of an item's nearest neighbours its codes keep near.

    For an item q, the truth is its k nearest other items by the cosine of their vectors (on a tie the
    earlier item). In code space the other items are ordered by the number of first codes they share with q,
    most first, then by the Euclidean distance between the decoded codes, as in symmetric distance computation
    (Jégou, Douze and Schmid 2011, Product quantization for nearest neighbor search, section III-A). Recall is
    the share of the truth among the first k in that order. Items that tie across the k-th place count with
    the probability that a random order of them would put them within it, so nothing hangs on the order of
    the items.

    Args:
        tokenizer: fitted; says what codes decode to.
        vectors: float (n, dim), the items' vectors, none of them zero.
        codes: integers (n, levels), their codes.
        k: neighbours of each item, at least 1; at most n - 1 are taken.
        queries: items asked; if there are more, that many are drawn.
        pool: items looked among; if there are more, that many are drawn, the queries from them.
        seed: of the draws.

    Raises:
        DataError: if the shapes do not fit, there are fewer than two items, or a vector is zero or not
            finite.
        ConfigError: if `k`, `queries` or `pool` is senseless.
    """
    x, tokens = np.asarray(vectors, dtype=np.float32), np.asarray(codes)
    if x.ndim != 2 or tokens.ndim != 2 or len(x) != len(tokens) or len(x) < 2:
        raise DataError(
            "vectors and codes must have a row for each item, and at least two; "
            f"got shapes {x.shape}, {tokens.shape}"
        )
    if k < 1 or queries < 1 or pool < 2:
        raise ConfigError(
            f"k and queries must be at least 1 and pool at least 2; got {k=}, {queries=}, {pool=}"
        )
    random = np.random.default_rng(seed)
    if len(x) > pool:
        rows = np.sort(random.choice(len(x), pool, replace=False))
        x, tokens = x[rows], tokens[rows]
    asked = np.arange(len(x))
    if len(x) > queries:
        asked = np.sort(random.choice(len(x), queries, replace=False))
    k = min(k, len(x) - 1)
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        raise DataError("every vector must be finite and not zero to have a direction")
    truth = _nearest(x / lengths, asked, k)
    distinct, groups = np.unique(tokens, axis=0, return_inverse=True)
    groups = groups.reshape(-1)
    decoded = tokenizer.decode(distinct)
    by_prefix, by_both = 0.0, 0.0
    for query, near in zip(asked.tolist(), truth, strict=True):
        own = groups[query]
        alike = np.cumprod(distinct == distinct[own], axis=1).sum(axis=1)  # first codes shared, by code
        shared = alike[groups]
        shared[query] = -1
        bound, better, tied = _boundary(shared, k)
        inside = float((shared[near] > bound).sum())
        among = near[shared[near] == bound]
        by_prefix += inside + len(among) * (k - better) / tied
        by_both += inside
        if len(among):
            distances = np.zeros(len(distinct), dtype=np.float32)
            there = alike == bound
            distances[there] = np.square(decoded[there] - decoded[own]).sum(axis=1)
            level = np.sort(distances[groups[shared == bound]])
            before = np.searchsorted(level, distances[groups[among]], "left")
            equal = np.searchsorted(level, distances[groups[among]], "right") - before
            by_both += float(np.clip((k - better - before) / equal, 0, 1).sum())
    total = k * len(asked)
    return NeighbourRecall(k, len(asked), len(x), seed, by_prefix / total, by_both / total, k / (len(x) - 1))


def _nearest(unit: npt.NDArray[np.float32], asked: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    """The k nearest other rows of each asked row, int64 (asked, k), on a tie the earlier one."""
    found = np.empty((len(asked), k), dtype=np.int64)
    for start in range(0, len(asked), _BLOCK):
        rows = asked[start : start + _BLOCK]
        cosines = unit[rows] @ unit.T
        cosines[np.arange(len(rows)), rows] = -np.inf
        least = np.partition(cosines, -k, axis=1)[:, -k]
        for place, row in enumerate(cosines):
            surely = np.flatnonzero(row > least[place])
            tied = np.flatnonzero(row == least[place])[: k - len(surely)]
            found[start + place] = np.concatenate([surely, tied])
    return found


def _boundary(shared: npt.NDArray[np.int64], k: int) -> tuple[int, int, int]:
    """The prefix length at which the k-th place is, how many items share more, and how many that much."""
    counts = np.bincount(shared[shared >= 0])
    better = 0
    for length in range(len(counts) - 1, -1, -1):
        if better + counts[length] >= k:
            return length, better, int(counts[length])
        better += int(counts[length])
    raise AssertionError("k is at most the number of other items")
