"""Spherical codebooks: codewords of one length, so that the nearest one has the smallest angle."""

from collections.abc import Iterator, Sequence

import numpy as np

from sidkit._core import assign_codes
from sidkit.tokenizers.parts.arrays import Vectors
from sidkit.tokenizers.parts.kmeans import kmeans, level_seed

__all__ = ["equal_lengths", "spherical_kmeans"]


def equal_lengths(words: Vectors) -> Vectors:
    """Scale codewords, float32 (codes, dim), to their mean length.

    Among vectors of one length, the nearest one has the smallest angle: ‖r − c‖² is ‖r‖² + ‖c‖² − 2 r·c. The
    exact assignment by distance is then an assignment by cosine.
    """
    wide = words.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1)
    scaled: Vectors = (wide / np.maximum(lengths, 1e-30)[:, None] * lengths.mean()).astype(np.float32)
    return scaled


def spherical_kmeans(
    x: Vectors, sizes: Sequence[int], *, iterations: int, seed: int, threads: int | None = None
) -> Iterator[Vectors]:
    """Yield codebooks, float32 (size, dim), one per level: k-means of the directions of residuals.

    All codewords of a level have the length that minimizes the error: the mean projection of vectors on their
    codeword's direction (Dhillon and Modha, 2001, for the directions).
    """
    residual = x
    for level, size in enumerate(sizes):
        lengths = np.linalg.norm(residual.astype(np.float64), axis=1)
        directions = (residual / np.maximum(lengths, 1e-30)[:, None]).astype(np.float32)
        words = kmeans(directions, size, iterations=iterations, seed=level_seed(seed, level), threads=threads)
        norms = np.linalg.norm(words.astype(np.float64), axis=1)
        unit = (words / np.maximum(norms, 1e-30)[:, None]).astype(np.float32)
        codes = assign_codes(residual, [unit], threads=threads)[:, 0]
        along = np.einsum("ij,ij->i", residual, unit[codes], dtype=np.float64)
        words = equal_lengths(unit * np.float32(max(along.mean(), 0)))
        yield words
        if level + 1 < len(sizes):
            residual = residual - words[assign_codes(residual, [words], threads=threads)[:, 0]]
