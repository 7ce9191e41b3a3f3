"""Codes whose levels do not build on each other: choosing among them, and decoding by sums of means."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit.tokenizers.base import Codes, Vectors

__all__ = ["additive_codewords", "cheapest_codes", "sum_codewords"]


def additive_codewords(z: Vectors, codes: Codes, sizes: Sequence[int]) -> list[Vectors]:
    """Codewords, float32 (size, dim), one array a level, whose sums come near vectors that have these codes.

    Level by level, a codeword is the mean of what the levels before leave over of the vectors with that
    code, and 0 where there are none.
    """
    residual, found = z, []
    for level, size in enumerate(sizes):
        counts = np.bincount(codes[:, level], minlength=size)
        order = np.argsort(codes[:, level], kind="stable")
        used = np.flatnonzero(counts)
        starts = np.concatenate([[0], np.cumsum(counts[used])[:-1]])
        words = np.zeros((size, z.shape[1]), np.float32)
        words[used] = np.add.reduceat(residual[order], starts, axis=0, dtype=np.float64) / counts[used, None]
        found.append(words)
        residual = residual - words[codes[:, level]]
    return found


def sum_codewords(codewords: Sequence[Vectors], codes: Codes) -> Vectors:
    """Sums of the codewords of codes of the first one or more levels, float32 (n, dim)."""
    total = np.zeros((len(codes), codewords[0].shape[1]), np.float32)
    for words, column in zip(codewords, codes.T, strict=False):
        total += words[column]
    return total


def cheapest_codes(costs: Sequence[npt.NDArray[np.float64]], count: int) -> Codes:
    """The codes with the least sums of costs, uint16 (m, choices, levels), cheapest first.

    Args:
        costs: of every code of each level, float64 (m, size), one array a level; finite.
        count: choices, at most.
    """
    rows = np.arange(len(costs[0]))[:, None]
    total = np.zeros((len(rows), 1))
    codes = np.zeros((len(rows), 1, 0), np.uint16)
    for level in costs:
        size = level.shape[1]
        sums = (total[:, :, None] + level[:, None, :]).reshape(len(rows), total.shape[1] * size)
        # A prefix that is not among the `count` cheapest has `count` cheaper ones with the same continuation.
        best = np.argsort(sums, axis=1, kind="stable")[:, :count]
        parents, tokens = best // size, (best % size).astype(np.uint16)
        codes = np.concatenate([codes[rows, parents], tokens[:, :, None]], axis=2)
        total = sums[rows, best]
    return codes
