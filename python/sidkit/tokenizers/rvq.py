"""R-VQ: residual codebooks trained by gradient descent, without an autoencoder."""

import math
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit._core import Codebooks, assign_codes
from sidkit._progress import Progress
from sidkit._settings import Count, Depth, Positive, Seed, Width
from sidkit.tokenizers.parts.arrays import Vectors
from sidkit.tokenizers.parts.checks import (
    check_counts,
    check_counts_or_none,
    check_flags,
    check_positive,
    check_seed,
)
from sidkit.tokenizers.parts.kmeans import kmeans, level_seed
from sidkit.tokenizers.parts.residual import StandardizedResidual
from sidkit.tokenizers.parts.standardize import Standardizer

__all__ = ["RVQ"]

_INIT_ITERATIONS = 2
#: Decay rates of the moments of Adam (Kingma and Ba, 2015).
_MOMENTS = (0.9, 0.999)


class RVQ(StandardizedResidual):
    """Residual quantization tokenizer whose codewords minimize the squared error with Adam.

    It is RQ-VAE without encoder and decoder, and the third tokenizer of GRID (Ju et al., 2025). Each level is
    trained to the end before the next one is trained on its residuals. `RQKMeans` solves the same problem
    without a learning rate; use R-VQ for comparison.

    Args:
        levels: codes per item.
        codebook_size: codewords per level: one number, or one per level.
        standardize: scale every dimension to mean 0 and variance 1 first.
        epochs: passes over the vectors per level.
        batch_size: vectors per step.
        learning_rate: initial learning rate of Adam; it decays as a cosine.
        kmeans_init: initialize codebooks by two iterations of k-means instead of random vectors.
        revive_dead_codes: after every epoch, reinitialize unused codes from residuals of random vectors.
        seed: seed of initialization, batches and dead-code revival.
        threads: maximum number of threads; None uses all cores. The codes do not depend on it.

    Attributes:
        codebooks_: `sidkit.tokenizers.Codebooks` in standardized space.
        standardizer_: mean and scale of every dimension.
    """

    method = "rvq"

    def __init__(
        self,
        levels: Depth = 3,
        codebook_size: Width | Sequence[Width] = 256,
        *,
        standardize: bool = True,
        epochs: Count = 300,
        batch_size: Count = 1024,
        learning_rate: Positive = 2e-3,
        kmeans_init: bool = True,
        revive_dead_codes: bool = True,
        seed: Seed = 0,
        threads: int | None = None,
    ) -> None:
        self._set_sizes(levels, codebook_size)
        self.standardize = standardize
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.kmeans_init = kmeans_init
        self.revive_dead_codes = revive_dead_codes
        self.seed = seed
        self.threads = threads
        check_counts(self, "epochs", "batch_size")
        check_counts_or_none(self, "threads")
        check_flags(self, "standardize", "kmeans_init", "revive_dead_codes")
        check_positive(self, "learning_rate")
        check_seed(seed)

    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        standardizer = Standardizer.fit_if(self.standardize, x)
        residual, found = standardizer.apply(x), []
        for level, size in enumerate(self.codebook_sizes):
            words = self._initial(residual, level, size)
            optimizer = _Adam(words)
            for epoch in range(self.epochs):
                codes = self._one_epoch(residual, words, optimizer, level, epoch)
                if self.revive_dead_codes and epoch + 1 < self.epochs:
                    self._revive(residual, words, optimizer, codes, [self.seed, level, epoch, 1])
                if progress is not None:
                    done = level * self.epochs + epoch + 1
                    progress(done, self.levels * self.epochs, level=float(level))
            found.append(words)
            residual = residual - words[assign_codes(residual, [words], threads=self.threads)[:, 0]]
        self.standardizer_ = standardizer
        self._codebooks = Codebooks(found)

    def _initial(self, residual: Vectors, level: int, size: int) -> Vectors:
        seed = level_seed(self.seed, level)
        if self.kmeans_init:
            return kmeans(residual, size, iterations=_INIT_ITERATIONS, seed=seed, threads=self.threads)
        rows = np.random.default_rng(seed).choice(len(residual), size, replace=False)
        return residual[rows].copy()

    def _one_epoch(
        self, residual: Vectors, words: Vectors, optimizer: "_Adam", level: int, epoch: int
    ) -> npt.NDArray[np.uint16]:
        """Update the codewords in place; return the codes, uint16 (n,), assigned during the epoch."""
        order = np.random.default_rng([self.seed, level, epoch]).permutation(len(residual))
        codes = np.empty(len(residual), np.uint16)
        batches = np.array_split(order, max(1, round(len(order) / self.batch_size)))
        for number, rows in enumerate(batches):
            batch = residual[rows]
            chosen = assign_codes(batch, [words], threads=self.threads)[:, 0]
            codes[rows] = chosen
            gradient = np.zeros(words.shape)
            np.add.at(gradient, chosen, words[chosen] - batch)
            part = (epoch + number / len(batches)) / self.epochs
            optimizer.step(
                gradient * (2 / len(rows)), self.learning_rate * (0.5 + 0.5 * math.cos(math.pi * part))
            )
        return codes

    def _revive(
        self,
        residual: Vectors,
        words: Vectors,
        optimizer: "_Adam",
        codes: npt.NDArray[np.uint16],
        seed: list[int],
    ) -> None:
        dead = np.setdiff1d(np.arange(len(words)), codes)
        if len(dead):
            words[dead] = residual[
                np.random.default_rng(seed).choice(len(residual), len(dead), replace=False)
            ]
            optimizer.forget(dead)


class _Adam:
    """Adam on one float32 array, updated in place."""

    def __init__(self, values: Vectors) -> None:
        self.values = values
        self.first, self.second = np.zeros(values.shape), np.zeros(values.shape)
        self.steps = 0

    def step(self, gradient: npt.NDArray[np.float64], rate: float) -> None:
        """Take one step along the negative gradient, an array of the same shape."""
        one, two = _MOMENTS
        self.steps += 1
        self.first = one * self.first + (1 - one) * gradient
        self.second = two * self.second + (1 - two) * np.square(gradient)
        mean = self.first / (1 - one**self.steps)
        scale = np.sqrt(self.second / (1 - two**self.steps)) + 1e-8
        self.values -= (rate * mean / scale).astype(np.float32)

    def forget(self, rows: npt.NDArray[np.intp]) -> None:
        """Clear the moments of rows that were reinitialized."""
        self.first[rows] = self.second[rows] = 0
