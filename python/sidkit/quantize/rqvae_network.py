"""The network of an RQ-VAE, with torch: encoder, codebooks, decoder, and its losses."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit._core import assign_codes

__all__ = ["Losses", "Network"]


@dataclass(frozen=True)
class Losses:
    """The losses of one batch, scalars, and what they were computed of.

    Attributes:
        reconstruction, codebook, commitment: the losses.
        codes: uint16 (batch, levels), chosen.
        latent: float32 (batch, latent).
        quantized: float32 (batch, latent), with the gradient of the reconstruction to the encoder.
        reconstructed: float32 (batch, dim).
    """

    reconstruction: Tensor
    codebook: Tensor
    commitment: Tensor
    codes: npt.NDArray[np.uint16]
    latent: Tensor
    quantized: Tensor
    reconstructed: Tensor


class Network(nn.Module):
    """Encoder, codebooks, decoder.

    Args:
        widths: from the input to the latent vector.
        sizes: codes of each level.
        threads: of the assignment of codes.
    """

    def __init__(self, widths: list[int], sizes: tuple[int, ...], threads: int | None = None) -> None:
        super().__init__()
        self.encoder = _layers(widths)
        self.decoder = _layers(widths[::-1])
        self.codebooks = nn.ParameterList(torch.zeros(size, widths[-1]) for size in sizes)
        self.threads = threads

    def plain(self, x: Tensor) -> Losses:
        """Losses of vectors, float32 (batch, dim), without quantization."""
        latent = self.encoder(x)
        reconstructed = self.decoder(latent)
        none = np.zeros((len(x), 0), np.uint16)
        error = F.mse_loss(reconstructed, x)
        return Losses(error, torch.zeros(()), torch.zeros(()), none, latent, latent, reconstructed)

    def forward(self, x: Tensor) -> Losses:
        """Losses of vectors, float32 (batch, dim)."""
        latent = self.encoder(x)  # (batch, latent)
        words = [codebook.detach().numpy() for codebook in self.codebooks]
        codes = assign_codes(latent.detach().numpy(), words, threads=self.threads)  # (batch, levels)
        chosen = torch.from_numpy(codes.astype(np.int64))
        residual, total = latent, torch.zeros_like(latent)
        codebook = commitment = torch.zeros(())
        for level, table in enumerate(self.codebooks):
            word = table[chosen[:, level]]  # (batch, latent)
            codebook = codebook + F.mse_loss(word, residual.detach())
            commitment = commitment + F.mse_loss(residual, word.detach())
            residual, total = residual - word.detach(), total + word.detach()
        through = latent + (total - latent).detach()  # straight through: the gradient skips the quantization
        reconstructed = self.decoder(through)
        error = F.mse_loss(reconstructed, x)
        return Losses(error, codebook, commitment, codes, latent, through, reconstructed)


def _layers(widths: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for into, out in pairwise(widths):
        layers += [nn.Linear(into, out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
