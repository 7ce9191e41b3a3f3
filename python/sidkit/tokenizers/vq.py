"""VQ: vector quantization with one codebook."""

from sidkit._arguments import shown
from sidkit._settings import Count, Seed, Width
from sidkit.errors import ConfigError
from sidkit.tokenizers.parts.kmeans import Init
from sidkit.tokenizers.rqkmeans import RQKMeans

__all__ = ["VQ", "check_one_size"]


class VQ(RQKMeans):
    """k-means tokenizer with one code per item: its cluster (Linde, Buzo and Gray, 1980).

    The first level of `RQKMeans` alone. Items of a cluster collide, so it suits coarse codes, or codes that
    are followed by a collision token.

    Args:
        codebook_size: number of clusters.
        standardize: scale every dimension to mean 0 and variance 1 first.
        iterations: maximum number of iterations of Lloyd's algorithm; with `batch_size`, passes over the
            vectors.
        init: initialization of k-means: `bisect`, `k-means++` or `k-means||`, as for `RQKMeans`.
        balanced: learn codewords from clusters of equal size, as for `RQKMeans`.
        batch_size: learn from mini-batches of this many vectors; None uses all vectors in every iteration.
        seed: seed of the initialization and of the mini-batches.
        threads: maximum number of threads; None uses all cores. The codes do not depend on it.

    Attributes:
        codebooks_: `sidkit.tokenizers.Codebooks` of one level, in standardized space.
        standardizer_: mean and scale of every dimension.
    """

    method = "vq"

    def __init__(
        self,
        codebook_size: Width = 256,
        *,
        standardize: bool = True,
        iterations: Count = 25,
        init: Init = "bisect",
        balanced: bool = False,
        batch_size: Count | None = None,
        seed: Seed = 0,
        threads: int | None = None,
    ) -> None:
        super().__init__(
            1,
            check_one_size(codebook_size),
            standardize=standardize,
            iterations=iterations,
            init=init,
            balanced=balanced,
            batch_size=batch_size,
            seed=seed,
            threads=threads,
        )


def check_one_size(codebook_size: int) -> int:
    """Return `codebook_size`, or raise ConfigError if it is not one number."""
    if not isinstance(codebook_size, int):
        raise ConfigError(
            f"`codebook_size` is invalid: expected one integer for the one level, got {shown(codebook_size)}."
        )
    return codebook_size
