"""k-means codebooks, of vectors and of residuals level by level."""

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np

from sidkit._core import assign_codes, kmeans_fit
from sidkit.tokenizers.parts.arrays import Vectors

__all__ = ["INITS", "Init", "kmeans", "level_seed", "residual_kmeans"]

#: Initializations of k-means.
Init: TypeAlias = Literal["bisect", "k-means++", "k-means||"]
INITS = ("bisect", "k-means++", "k-means||")


def residual_kmeans(
    x: Vectors,
    sizes: Sequence[int],
    *,
    iterations: int,
    seed: int,
    init: Init = "bisect",
    balanced: bool = False,
    batch_size: int | None = None,
    threads: int | None = None,
) -> Iterator[Vectors]:
    """Yield codebooks, float32 (size, dim), one per level: k-means of the residuals of the levels before.

    Residuals are those of `assign_codes`, which the next level receives when the tokenizer is used. With
    `balanced`, only the codewords come from clusters of equal size.
    """
    residual = x
    for level, size in enumerate(sizes):
        codebook = kmeans(
            residual,
            size,
            iterations=iterations,
            seed=level_seed(seed, level),
            init=init,
            balanced=balanced,
            batch_size=batch_size,
            threads=threads,
        )
        yield codebook
        if level + 1 < len(sizes):
            residual = residual - codebook[assign_codes(residual, [codebook], threads=threads)[:, 0]]


def kmeans(
    x: Vectors,
    size: int,
    *,
    iterations: int,
    seed: int,
    init: Init | Vectors = "bisect",
    balanced: bool = False,
    batch_size: int | None = None,
    threads: int | None = None,
) -> Vectors:
    """Compute one codebook, float32 (size, dim), of vectors, float32 (n, dim), n at least `size`.

    `init` may be the initial codebook. With `balanced`, every codeword is the mean of at most ceil(n / size)
    vectors. With `batch_size`, `iterations` are passes over the vectors in mini-batches.
    """
    if batch_size is not None:
        iterations = -(-iterations * len(x) // batch_size)
    codebook, _, _ = kmeans_fit(
        x,
        size,
        iterations=iterations,
        init=init,
        seed=seed,
        batch_size=batch_size,
        capacity=-(-len(x) // size) if balanced else None,
        threads=threads,
    )
    return codebook


def level_seed(*numbers: int) -> int:
    """Derive one 64-bit seed from a tuple of numbers, such as a seed and a level."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
