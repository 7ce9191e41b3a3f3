"""OPQ: product quantization with a learned rotation."""

from collections.abc import Sequence

from sidkit._settings import Count, Depth, Seed, Width
from sidkit.tokenizers.pq import PQ

__all__ = ["OPQ"]


class OPQ(PQ):
    """Optimized product quantization (Ge et al., 2013): `PQ` with `rotation=True`.

    Args:
        levels: parts of the vector, so codes per item.
        codebook_size: codewords per level: one number, or one per level.
        rounds: rounds of learning the rotation, each with one iteration of k-means.
        standardize: scale every dimension to mean 0 and variance 1 first.
        iterations: maximum number of iterations of the final k-means per level.
        seed: seed of the initializations.
        threads: maximum number of threads; None uses all cores. The codes do not depend on it.

    Attributes:
        standardizer_: mean and scale of every dimension.
        codewords_: float32 (codes, width), one array per level.
    """

    method = "opq"

    def __init__(
        self,
        levels: Depth = 4,
        codebook_size: Width | Sequence[Width] = 256,
        *,
        rounds: Count = 10,
        standardize: bool = True,
        iterations: Count = 25,
        seed: Seed = 0,
        threads: int | None = None,
    ) -> None:
        super().__init__(
            levels,
            codebook_size,
            rotation=True,
            rounds=rounds,
            standardize=standardize,
            iterations=iterations,
            seed=seed,
            threads=threads,
        )
