"""Vector quantization: one codebook, one code."""

from sidkit.errors import ConfigError
from sidkit.tokenizers.rqkmeans import RQKMeans

__all__ = ["VQ", "check_one_size"]


class VQ(RQKMeans):
    """k-means of the vectors: the one code of an item is its cluster (Linde, Buzo and Gray, 1980).

    The first level of `RQKMeans`, alone. Items of a cluster collide, so it is for coarse codes, or beside a
    collision token.

    Args:
        codebook_size: clusters.
        standardize: give every dimension mean 0 and variance 1 first.
        iterations: of Lloyd's algorithm, at most; with `batch_size`, passes over the vectors.
        start: `bisect` or `kmeans++`, as of `RQKMeans`.
        balanced: learn codewords from clusters of equal size, as of `RQKMeans`.
        batch_size: learn from mini-batches of so many vectors; from all in every iteration if None.
        seed: of the random start and of the mini-batches.
        threads: at most; all cores if None. The codes do not depend on it.

    Attributes:
        codebooks_: `sidkit.Codebooks` of one level, in standardized space.
        standardizer_: mean and scale of every dimension.
    """

    method = "vq"

    def __init__(
        self,
        codebook_size: int = 256,
        *,
        standardize: bool = True,
        iterations: int = 25,
        start: str = "bisect",
        balanced: bool = False,
        batch_size: int | None = None,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        super().__init__(
            1,
            check_one_size(codebook_size),
            standardize=standardize,
            iterations=iterations,
            start=start,
            balanced=balanced,
            batch_size=batch_size,
            seed=seed,
            threads=threads,
        )


def check_one_size(codebook_size: int) -> int:
    """`codebook_size`, or ConfigError if it is not one number."""
    if not isinstance(codebook_size, int):
        raise ConfigError(
            f"codebook_size must be one integer, since there is one level, not {codebook_size!r}"
        )
    return codebook_size
