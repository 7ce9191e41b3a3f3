"""k-means of residuals, level by level."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from sidkit._core import assign_codes, kmeans_fit
from sidkit.errors import ConfigError

__all__ = ["STARTS", "Start", "check_start", "kmeans", "level_seed", "residual_kmeans"]

Vectors = npt.NDArray[np.float32]
Start = Literal["bisect", "k-means++"]

#: Starts of k-means, as users and as `kmeans_fit` call them.
STARTS: dict[str, Start] = {"bisect": "bisect", "kmeans++": "k-means++"}


def check_start(start: str) -> None:
    """Raise ConfigError if there is no start of k-means that users call so."""
    if start not in STARTS:
        raise ConfigError(f"unknown start `{start}`; hint: one of {', '.join(STARTS)}")


def residual_kmeans(
    x: Vectors,
    sizes: Sequence[int],
    *,
    iterations: int,
    seed: int,
    start: str = "bisect",
    balanced: bool = False,
    batch_size: int | None = None,
    threads: int | None = None,
) -> Iterator[Vectors]:
    """Codebooks, float32 (size, dim), one a level: k-means of what the levels before have left over.

    What is left over is always that of `assign_codes`, since it is what the next level will see in use; with
    `balanced`, only the codewords come of clusters of equal size.
    """
    residual = x
    for level, size in enumerate(sizes):
        codebook = kmeans(
            residual,
            size,
            iterations=iterations,
            seed=level_seed(seed, level),
            start=STARTS[start],
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
    start: Start | Vectors = "bisect",
    balanced: bool = False,
    batch_size: int | None = None,
    threads: int | None = None,
) -> Vectors:
    """One codebook, float32 (size, dim), of vectors, float32 (n, dim), n at least `size`.

    `start` may be the codebook to start with. With `balanced`, every codeword is the mean of at most
    ceil(n / size) vectors. With `batch_size`, `iterations` are passes over the vectors in mini-batches.
    """
    if batch_size is not None:
        iterations = -(-iterations * len(x) // batch_size)
    codebook, _, _ = kmeans_fit(
        x,
        size,
        iterations=iterations,
        init=start,
        seed=seed,
        batch=batch_size,
        capacity=-(-len(x) // size) if balanced else None,
        threads=threads,
    )
    return codebook


def level_seed(*numbers: int) -> int:
    """One seed of 64 bits for each tuple of numbers, such as a seed and a level."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
