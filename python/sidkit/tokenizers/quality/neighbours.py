"""Neighbour recall: nearest items by content that are also nearest by codes."""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Bounds, Count, Seed, Shape, checked
from sidkit.errors import ConfigError, DataError
from sidkit.tokenizers.base import Tokenizer

__all__ = ["NeighbourRecall", "neighbour_recall"]

_BLOCK = 64


@dataclass(frozen=True)
class NeighbourRecall:
    """Neighbourhood recall in code space.

    Attributes:
        k: number of neighbours.
        queries: number of query items.
        pool: number of items searched: all, or a sample that contains the queries.
        seed: seed of both samples.
        prefix: share of an item's k nearest by cosine that are among the k items with the longest shared
            prefix, averaged over queries.
        recall: the same, with items of equal prefix length ordered by the distance of decoded codes.
        chance: recall of random codes.
    """

    k: Count
    queries: int
    pool: int
    seed: Seed
    prefix: float
    recall: float
    chance: float


@checked
def neighbour_recall(
    tokenizer: Tokenizer,
    vectors: Annotated[npt.ArrayLike, Shape("items", "dim")],
    codes: Annotated[npt.NDArray[np.integer[Any]], Shape("items", "levels"), Bounds(ge=0)],
    *,
    k: Count = 10,
    queries: int = 1000,
    pool: int = 100_000,
    seed: Seed = 0,
) -> NeighbourRecall:
    """Measure how many nearest neighbours of an item are also nearest by codes.

    For an item q, the truth is its k nearest other items by the cosine of their vectors (on a tie the
    earlier item). By codes, the other items are ordered by the length of the prefix shared with q, longest
    first, then by the Euclidean distance between the decoded codes, as in symmetric distance computation
    (Jégou, Douze and Schmid 2011, Product quantization for nearest neighbor search, section III-A). Recall is
    the share of the truth among the first k in that order. Items tied at position k count with the
    probability that a random order puts them among the first k, so the result does not depend on the order of
    the items.

    Args:
        tokenizer: fitted tokenizer, for decoding.
        vectors: float (n, dim), the items' vectors, none of them zero.
        codes: integers (n, levels), their codes.
        k: number of neighbours, at least 1; at most n - 1.
        queries: maximum number of query items; a sample if there are more items.
        pool: maximum number of items searched; a sample if there are more, which contains the queries.
        seed: seed of the samples.

    Raises:
        DataError: if the shapes do not fit, there are fewer than two items, or a vector is zero or not
            finite.
        ConfigError: if `k`, `queries` or `pool` is too small.
    """
    x, tokens = np.asarray(vectors, dtype=np.float32), np.asarray(codes)
    if x.ndim != 2 or tokens.ndim != 2 or len(x) != len(tokens) or len(x) < 2:
        raise DataError(
            "vectors and codes do not fit: expected two-dimensional arrays with one row per item and at "
            f"least two, got {x.shape} and {tokens.shape}."
        )
    if k < 1 or queries < 1 or pool < 2:
        raise ConfigError(
            f"the sample is too small: expected k >= 1, queries >= 1 and pool >= 2, got {k=}, {queries=}, "
            f"{pool=}."
        )
    random = np.random.default_rng(seed)
    if len(x) > pool:
        rows = np.sort(random.choice(len(x), pool, replace=False))
        x, tokens = x[rows], tokens[rows]
    sampled = np.arange(len(x))
    if len(x) > queries:
        sampled = np.sort(random.choice(len(x), queries, replace=False))
    k = min(k, len(x) - 1)
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        raise DataError(
            "a vector has no direction: expected finite vectors of positive length, got zeros, NaN or "
            "infinity."
        )
    truth = _nearest(x / lengths, sampled, k)
    distinct, groups = np.unique(tokens, axis=0, return_inverse=True)
    groups = groups.reshape(-1)
    decoded = tokenizer.decode(distinct)
    by_prefix, by_both = 0.0, 0.0
    for query, near in zip(sampled.tolist(), truth, strict=True):
        own = groups[query]
        alike = np.cumprod(distinct == distinct[own], axis=1).sum(
            axis=1
        )  # length of the shared prefix, by code
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
    total = k * len(sampled)
    return NeighbourRecall(
        k, len(sampled), len(x), seed, by_prefix / total, by_both / total, k / (len(x) - 1)
    )


def _nearest(
    unit: npt.NDArray[np.float32], queries: npt.NDArray[np.int64], k: Count
) -> npt.NDArray[np.int64]:
    """The k nearest other rows of each query row, int64 (queries, k), on a tie the earlier one."""
    found = np.empty((len(queries), k), dtype=np.int64)
    for start in range(0, len(queries), _BLOCK):
        rows = queries[start : start + _BLOCK]
        cosines = unit[rows] @ unit.T
        cosines[np.arange(len(rows)), rows] = -np.inf
        least = np.partition(cosines, -k, axis=1)[:, -k]
        for place, row in enumerate(cosines):
            surely = np.flatnonzero(row > least[place])
            tied = np.flatnonzero(row == least[place])[: k - len(surely)]
            found[start + place] = np.concatenate([surely, tied])
    return found


def _boundary(shared: npt.NDArray[np.int64], k: Count) -> tuple[int, int, int]:
    """Shared prefix length at position k, number of items with a longer one, and number with that length."""
    counts = np.bincount(shared[shared >= 0])
    better = 0
    for length in range(len(counts) - 1, -1, -1):
        if better + counts[length] >= k:
            return length, better, int(counts[length])
        better += int(counts[length])
    raise AssertionError("k is at most the number of other items")
