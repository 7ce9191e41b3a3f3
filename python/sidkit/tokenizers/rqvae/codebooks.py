"""What happens to the codebooks of an RQ-VAE besides gradients: start, averages, reset, refit."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from sidkit._core import assign_codes
from sidkit.tokenizers.base import Vectors
from sidkit.tokenizers.parts.kmeans import residual_kmeans
from sidkit.tokenizers.rqvae.network import Losses, Network
from sidkit.tokenizers.rqvae.spherical import equal_lengths, spherical_kmeans

if TYPE_CHECKING:
    from sidkit.tokenizers.rqvae.rqvae import RQVAE

__all__ = ["CodebookCare"]

_ITERATIONS = {"start": 10, "refit": 25}


class CodebookCare:
    """Keeps the codebooks of a network in use.

    Args:
        settings: of the tokenizer.
        network: its codebooks are changed in place.
    """

    def __init__(self, settings: "RQVAE", network: Network) -> None:
        self.settings = settings
        self.network = network
        # Of the running averages (van den Oord et al., 2017, appendix A.1): how many vectors a code gets from
        # a batch, and their sum.
        self.counts = [np.ones(size) for size in settings.codebook_sizes]
        self.sums = [np.zeros((size, settings.latent)) for size in settings.codebook_sizes]

    def start(self, latents: Vectors, seed: int) -> None:
        """Set all codebooks anew from latents, float32 (n, latent)."""
        if self.settings.kmeans_start:
            found = self._kmeans(latents, _ITERATIONS["start"], seed)
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
        """Move running averages, and keep codewords of one length where angles decide."""
        for level, codebook in enumerate(self.network.codebooks):
            if self.settings.update == "ema":
                residual, codes = losses.residuals[level].numpy(), losses.codes[:, level]
                self._average(level, residual, codes)
            elif self.settings.distance == "cosine":
                self._put(level, equal_lengths(codebook.detach().numpy()))

    def revive(
        self, codes: npt.NDArray[np.uint16], latents: Vectors, seed: list[int]
    ) -> list[npt.NDArray[np.intp]]:
        """Set codes that nothing chose for an epoch to residuals of random vectors.

        Args:
            codes: uint16 (n, levels), of the epoch.
            latents: float32 (n, latent), at its end.
            seed: of the random choice.

        Returns:
            The codes that were set anew, one array a level.
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
        """The codebooks that the tokenizer keeps, for the latents of its finished encoder.

        Codewords follow moving latents by small steps and lag behind. Now that the encoder stands still,
        k-means uses the codes more evenly and loses less.
        """
        if self.settings.refit:
            return self._kmeans(latents, _ITERATIONS["refit"], self.settings.seed)
        return [codebook.detach().numpy().copy() for codebook in self.network.codebooks]

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The running averages as named arrays."""
        counts = {f"ema.count.{level}": one for level, one in enumerate(self.counts)}
        return counts | {f"ema.sum.{level}": one for level, one in enumerate(self.sums)}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` gave, or raise KeyError or ValueError."""
        for level in range(len(self.counts)):
            self.counts[level][:] = state[f"ema.count.{level}"]
            self.sums[level][:] = state[f"ema.sum.{level}"]

    def _average(self, level: int, residual: Vectors, codes: npt.NDArray[np.uint16]) -> None:
        decay, size = self.settings.decay, self.settings.codebook_sizes[level]
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
        return equal_lengths(words) if self.settings.distance == "cosine" else words

    def _kmeans(self, latents: Vectors, iterations: int, seed: int) -> list[Vectors]:
        learn = spherical_kmeans if self.settings.distance == "cosine" else residual_kmeans
        return list(
            learn(
                latents,
                self.settings.codebook_sizes,
                iterations=iterations,
                seed=seed,
                threads=self.settings.threads,
            )
        )
