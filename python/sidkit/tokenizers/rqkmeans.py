"""RQ-KMeans: residual quantization by k-means, level by level."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit._core import Codebooks
from sidkit._progress import Progress
from sidkit._settings import Count, Depth, Seed, Width
from sidkit.errors import ConfigError
from sidkit.tokenizers.parts.arrays import Vectors
from sidkit.tokenizers.parts.checks import (
    check_choice,
    check_counts,
    check_counts_or_none,
    check_flags,
    check_seed,
)
from sidkit.tokenizers.parts.kmeans import INITS, Init, residual_kmeans
from sidkit.tokenizers.parts.residual import StandardizedResidual
from sidkit.tokenizers.parts.standardize import Standardizer

__all__ = ["RQKMeans"]


class RQKMeans(StandardizedResidual):
    """Residual k-means tokenizer, the default.

    Runs k-means on the vectors, then on the residuals, and so on. There is no training loop and no learning
    rate. The codes are about as good as those of RQ-VAE on most catalogues, in a fraction of the time. The
    method is residual vector quantization (Chen, Guan and Wang, 2010); OneRec (Deng et al., 2025) uses it as
    a tokenizer of items.

    Args:
        levels: codes per item.
        codebook_size: codewords per level: one number, or one per level.
        standardize: scale every dimension to mean 0 and variance 1 first.
        iterations: maximum number of iterations of Lloyd's algorithm per level; with `batch_size`, passes
            over the vectors, of which one or two are enough.
        init: initialization of k-means: `bisect` (means of subsets of the data; even use of codes),
            `k-means++` (single vectors of a sample) or `k-means||` (single vectors, from all).
        balanced: learn codewords from clusters of equal size, by a stable matching of vectors and codewords,
            for more even use of codes; slower. Codes are still the nearest codewords, so that a vector's
            codes do not depend on other vectors.
        batch_size: learn from mini-batches of this many vectors (Sculley, 2010), for millions of vectors;
            None uses all vectors in every iteration.
        subsample: learn from that many vectors, drawn at random, for millions of vectors; None uses all.
            About 200 vectors per codeword are enough.
        seed: seed of the initialization, of the mini-batches and of the subsample.
        threads: maximum number of threads; None uses all cores. The codes do not depend on it.

    Attributes:
        codebooks_: `sidkit.tokenizers.Codebooks` in standardized space.
        standardizer_: mean and scale of every dimension.
    """

    method = "rqkmeans"

    def __init__(
        self,
        levels: Depth = 3,
        codebook_size: Width | Sequence[Width] = 256,
        *,
        standardize: bool = True,
        iterations: Count = 25,
        init: Init = "bisect",
        balanced: bool = False,
        batch_size: Count | None = None,
        subsample: Count | None = None,
        seed: Seed = 0,
        threads: int | None = None,
    ) -> None:
        self._set_sizes(levels, codebook_size)
        self.standardize = standardize
        self.iterations = iterations
        self.init = init
        self.balanced = balanced
        self.batch_size = batch_size
        self.subsample = subsample
        self.seed = seed
        self.threads = threads
        check_counts(self, "iterations")
        check_counts_or_none(self, "batch_size", "subsample", "threads")
        check_flags(self, "standardize", "balanced")
        check_choice("init", init, INITS)
        check_seed(seed)
        if balanced and batch_size is not None:
            raise ConfigError(
                f"`balanced` does not work with mini-batches: expected batch_size=None, got {batch_size}. "
                "Leave one of them out."
            )

    def _sample(self, count: int) -> npt.NDArray[np.int64] | None:
        if self.subsample is None or self.subsample >= count:
            return None
        random = np.random.default_rng(self.seed)
        return np.sort(random.choice(count, self.subsample, replace=False, shuffle=False))

    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        self.standardizer_ = Standardizer.fit_if(self.standardize, x)
        found = []
        for codebook in residual_kmeans(
            self._latent(x),
            self.codebook_sizes,
            iterations=self.iterations,
            seed=self.seed,
            init=self.init,
            balanced=self.balanced,
            batch_size=self.batch_size,
            threads=self.threads,
        ):
            found.append(codebook)
            if progress is not None:
                progress(len(found), self.levels)
        self._codebooks = Codebooks(found)
