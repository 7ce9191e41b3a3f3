"""Codebook maintenance of RQ-VAE: initialization, moving averages, dead-code revival, final k-means."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sidkit._core import assign_codes
from sidkit.tokenizers.parts.arrays import Vectors
from sidkit.tokenizers.parts.kmeans import residual_kmeans
from sidkit.tokenizers.rqvae.network import Losses, Network
from sidkit.tokenizers.rqvae.options import AutoencoderSettings
from sidkit.tokenizers.rqvae.spherical import equal_lengths, spherical_kmeans

__all__ = ["CodebookMaintenance"]

_INIT_ITERATIONS = 10
_REFIT_ITERATIONS = 25


class CodebookMaintenance:
    """Updates of a network's codebooks other than gradient steps.

    Args:
        settings: settings of the training.
        network: network whose codebooks are changed in place.
    """

    def __init__(self, settings: AutoencoderSettings, network: Network) -> None:
        self.settings = settings
        self.network = network
        # Moving averages (van den Oord et al., 2017, appendix A.1): number of vectors per code and batch, and
        # their sum.
        self.counts = [np.ones(size) for size in settings.codebook_sizes]
        self.sums = [np.zeros((size, settings.latent_dim)) for size in settings.codebook_sizes]

    def initialize(self, latents: Vectors, seed: int) -> None:
        """Initialize all codebooks from latent vectors, float32 (n, latent)."""
        if self.settings.kmeans_init:
            found = self._kmeans(latents, _INIT_ITERATIONS, seed)
        else:
            found, residual, rng = [], latents, np.random.default_rng([seed, 2])
            for size in self.settings.codebook_sizes:
                words = self._shaped(residual[rng.choice(len(residual), size, replace=False)])
                found.append(words)
                residual = (
                    residual - words[assign_codes(residual, [words], threads=self.settings.threads)[:, 0]]
                )
        for level, words in enumerate(found):
            self._put(level, words)
            self.counts[level][:] = 1
            self.sums[level][:] = words

    def after_step(self, losses: Losses) -> None:
        """Update moving averages; with cosine distance, keep all codewords of a level at one length."""
        for level, codebook in enumerate(self.network.codebooks):
            if self.settings.ema_decay is not None:
                residual, codes = losses.residuals[level].numpy(), losses.codes[:, level]
                self._average(level, residual, codes, self.settings.ema_decay)
            elif self.settings.cosine:
                self._put(level, equal_lengths(codebook.detach().numpy()))

    def revive(
        self, codes: npt.NDArray[np.uint16], latents: Vectors, seed: list[int]
    ) -> list[npt.NDArray[np.intp]]:
        """Reinitialize dead codes, unused for an epoch, from residuals of random vectors.

        Args:
            codes: uint16 (n, levels), the codes of the epoch.
            latents: float32 (n, latent), the latent vectors at its end.
            seed: seed of the random choice.

        Returns:
            The revived codes, one array per level.
        """
        dead = [
            np.setdiff1d(np.arange(size), codes[:, level])
            for level, size in enumerate(self.settings.codebook_sizes)
        ]
        rng, residual = np.random.default_rng(seed), latents
        for level, unused in enumerate(dead):
            words = self.network.codebooks[level].detach().numpy()
            nearest = assign_codes(residual, [words], threads=self.settings.threads)[:, 0]
            following = residual - words[nearest]
            if len(unused):
                changed = words.copy()
                changed[unused] = residual[rng.choice(len(residual), len(unused), replace=False)]
                self._put(level, self._shaped(changed))
                self.counts[level][unused] = self.counts[level].mean()
                self.sums[level][unused] = changed[unused] * self.counts[level][unused, None]
            residual = following
        return dead

    def final(self, latents: Vectors) -> list[Vectors]:
        """Return the final codebooks for the latent vectors of the trained encoder.

        During training, codewords lag behind the moving latent vectors. k-means on the final latent vectors
        uses the codes more evenly and reduces the error.
        """
        if self.settings.refit:
            return self._kmeans(latents, _REFIT_ITERATIONS, self.settings.seed)
        return [codebook.detach().numpy().copy() for codebook in self.network.codebooks]

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the moving averages as named arrays."""
        counts = {f"ema.count.{level}": one for level, one in enumerate(self.counts)}
        return counts | {f"ema.sum.{level}": one for level, one in enumerate(self.sums)}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore what `state` returned, or raise KeyError or ValueError."""
        for level in range(len(self.counts)):
            self.counts[level][:] = state[f"ema.count.{level}"]
            self.sums[level][:] = state[f"ema.sum.{level}"]

    def _average(self, level: int, residual: Vectors, codes: npt.NDArray[np.uint16], decay: float) -> None:
        size = self.settings.codebook_sizes[level]
        seen = np.zeros((size, residual.shape[1]))
        np.add.at(seen, codes, residual)
        self.counts[level] *= decay
        self.counts[level] += (1 - decay) * np.bincount(codes, minlength=size)
        self.sums[level] *= decay
        self.sums[level] += (1 - decay) * seen
        words = self.sums[level] / np.maximum(self.counts[level], 1e-12)[:, None]
        self._put(level, self._shaped(words.astype(np.float32)))

    @torch.no_grad()
    def _put(self, level: int, words: Vectors) -> None:
        self.network.codebooks[level].copy_(torch.from_numpy(words))

    def _shaped(self, words: Vectors) -> Vectors:
        return equal_lengths(words) if self.settings.cosine else words

    def _kmeans(self, latents: Vectors, iterations: int, seed: int) -> list[Vectors]:
        learn = spherical_kmeans if self.settings.cosine else residual_kmeans
        return list(
            learn(
                latents,
                self.settings.codebook_sizes,
                iterations=iterations,
                seed=seed,
                threads=self.settings.threads,
            )
        )
