"""Codes with independent levels: the cheapest combinations, and codewords whose sums approximate vectors."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit.tokenizers.parts.arrays import Codes, Vectors

__all__ = ["additive_codewords", "cheapest_codes", "sum_codewords"]


def additive_codewords(z: Vectors, codes: Codes, sizes: Sequence[int]) -> list[Vectors]:
    """Compute codewords, float32 (size, dim), one array per level, whose sums approximate vectors.

    At each level, a codeword is the mean residual of the vectors with that code, and 0 for unused codes.

    Args:
        z: float32 (n, dim).
        codes: uint16 (n, levels), the codes of these vectors.
        sizes: number of codes of each level.
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
    """Sum up the codewords of codes of the first one or more levels, giving float32 (n, dim)."""
    total = np.zeros((len(codes), codewords[0].shape[1]), np.float32)
    for words, column in zip(codewords, codes.T, strict=False):
        total += words[column]
    return total


def cheapest_codes(costs: Sequence[npt.NDArray[np.float64]], count: int) -> Codes:
    """Find the codes with the smallest sums of costs, uint16 (m, choices, levels), cheapest first.

    Args:
        costs: costs of all codes of a level, float64 (m, size), finite; one array per level.
        count: maximum number of choices.
    """
    rows = np.arange(len(costs[0]))[:, None]
    total = np.zeros((len(rows), 1))
    codes = np.zeros((len(rows), 1, 0), np.uint16)
    for level in costs:
        size = level.shape[1]
        sums = (total[:, :, None] + level[:, None, :]).reshape(len(rows), total.shape[1] * size)
        # A prefix outside the `count` cheapest has `count` cheaper prefixes with the same continuation.
        best = np.argsort(sums, axis=1, kind="stable")[:, :count]
        parents, tokens = best // size, (best % size).astype(np.uint16)
        codes = np.concatenate([codes[rows, parents], tokens[:, :, None]], axis=2)
        total = sums[rows, best]
    return codes
