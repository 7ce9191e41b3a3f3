"""The network of an RQ-VAE, with torch: encoder, codebooks, decoder, and its losses."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit._core import assign_codes
from sidkit.tokenizers.rqvae.estimators import gumbel_words, rotated, straight_through
from sidkit.tokenizers.rqvae.sinkhorn import balanced_codes

if TYPE_CHECKING:
    from sidkit.tokenizers.rqvae.rqvae import RQVAE

__all__ = ["Losses", "Network"]

#: The temperature of `gumbel` falls to this part of its start.
_COOLED = 0.1


@dataclass(frozen=True)
class Losses:
    """The losses of one batch, scalars, and what they were computed of.

    Attributes:
        reconstruction, codebook, commitment: the losses.
        codes: uint16 (batch, levels), chosen.
        residuals: float32 (batch, latent), what each level had to quantize; without gradient.
        latent: float32 (batch, latent).
        quantized: float32 (batch, latent), with the gradient of the reconstruction to the encoder.
        reconstructed: float32 (batch, dim).
    """

    reconstruction: Tensor
    codebook: Tensor
    commitment: Tensor
    codes: npt.NDArray[np.uint16]
    residuals: tuple[Tensor, ...]
    latent: Tensor
    quantized: Tensor
    reconstructed: Tensor


class Network(nn.Module):
    """Encoder, codebooks, decoder.

    Args:
        settings: of the tokenizer.
        dim: dimensions of the input.
    """

    def __init__(self, settings: "RQVAE", dim: int) -> None:
        super().__init__()
        widths = [dim, *settings.hidden, settings.latent]
        self.settings = settings
        self.encoder = _layers(widths)
        self.decoder = _layers(widths[::-1])
        self.codebooks = nn.ParameterList(
            torch.zeros(size, settings.latent) for size in settings.codebook_sizes
        )
        self.codebooks.requires_grad_(settings.update == "gradient")
        self.temperature = settings.temperature
        self.noise = torch.Generator()

    def begin_epoch(self, epoch: int) -> None:
        """Set the noise and the temperature, which depend on the seed and the epoch only."""
        self.noise.manual_seed(int(np.random.SeedSequence([self.settings.seed, epoch]).generate_state(1)[0]))
        self.temperature = self.settings.temperature * float(_COOLED ** (epoch / self.settings.epochs))

    def plain(self, x: Tensor) -> Losses:
        """Losses of vectors, float32 (batch, dim), without quantization."""
        latent = self.encoder(x)
        reconstructed = self.decoder(latent)
        none = np.zeros((len(x), 0), np.uint16)
        error = F.mse_loss(reconstructed, x)
        return Losses(error, torch.zeros(()), torch.zeros(()), none, (), latent, latent, reconstructed)

    def forward(self, x: Tensor) -> Losses:
        """Losses of vectors, float32 (batch, dim)."""
        latent = self.encoder(x)  # (batch, latent)
        soft = self.settings.estimator == "gumbel"
        codes = self._codes(latent)  # (batch, levels)
        chosen = torch.from_numpy(codes.astype(np.int64))
        residual, total, mixed = latent, torch.zeros_like(latent), torch.zeros_like(latent)
        codebook = commitment = torch.zeros(())
        residuals = []
        for level, table in enumerate(self.codebooks):
            word = table[chosen[:, level]]  # (batch, latent)
            residuals.append(residual.detach())
            codebook = codebook + F.mse_loss(word, residual.detach())
            commitment = commitment + F.mse_loss(residual, word.detach())
            if soft:
                mixed = mixed + gumbel_words(residual, table, self.temperature, self.noise)
            residual, total = residual - word.detach(), total + word.detach()
        if soft:  # the decoder sees codewords, as in use; the gradient is that of the drawn mixtures
            through = straight_through(mixed, total)
        elif self.settings.estimator == "rotation":
            through = rotated(latent, total)
        else:
            through = straight_through(latent, total)
        reconstructed = self.decoder(through)
        error = F.mse_loss(reconstructed, x)
        return Losses(error, codebook, commitment, codes, tuple(residuals), latent, through, reconstructed)

    def _codes(self, latent: Tensor) -> npt.NDArray[np.uint16]:
        """The codes of latents: the nearest, as `encode` has them, or balanced ones where asked for."""
        words = [codebook.detach().numpy() for codebook in self.codebooks]
        rows, threads, last = latent.detach().numpy(), self.settings.threads, len(words) - 1
        balanced = {"none": last + 1, "last": last, "all": 0}[self.settings.sinkhorn]
        if balanced > last:
            return assign_codes(rows, words, threads=threads)
        columns = []
        for level, table in enumerate(words):
            if level < balanced:
                columns.append(assign_codes(rows, [table], threads=threads)[:, 0])
            else:
                columns.append(balanced_codes(rows, table, self.settings.sinkhorn_epsilon))
            rows = rows - table[columns[-1]]
        return np.stack(columns, axis=1)


def _layers(widths: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for into, out in pairwise(widths):
        layers += [nn.Linear(into, out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
