"""Network of RQ-VAE: encoder, codebooks, decoder, and its losses."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit._core import assign_codes
from sidkit.tokenizers.rqvae.estimators import gumbel_words, rotated, straight_through
from sidkit.tokenizers.rqvae.sinkhorn import balanced_codes

__all__ = ["Losses", "Network"]

#: Final temperature of the Gumbel-softmax estimator, as a share of the initial one.
_COOLED = 0.1


@dataclass(frozen=True)
class Losses:
    """Losses of one batch, scalars, and the tensors behind them.

    Attributes:
        reconstruction, codebook, commitment: the losses.
        codes: uint16 (batch, levels), the assigned codes.
        residuals: float32 (batch, latent), the input of each level; without gradient.
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
    """Encoder, codebooks and decoder.

    Args:
        dim: dimensions of the input.
        codebook_sizes: number of codewords of each level.
        latent_dim: dimensions of the latent vectors.
        hidden_dims: widths of the encoder's hidden layers; the decoder has them in reverse order.
        trainable_codebooks: False if moving averages update the codebooks.
        rotation: use the rotation estimator instead of the straight-through estimator.
        gumbel_temperature: initial temperature of the Gumbel-softmax estimator; None for another estimator.
        epochs: epochs over which the temperature decays.
        balanced_levels: number of levels at the end whose codes are balanced.
        sinkhorn_epsilon: weight of the entropy in the balancing.
        seed: seed of the noise.
        threads: maximum number of threads of the code assignment; None uses all cores.
    """

    def __init__(
        self,
        dim: int,
        codebook_sizes: Sequence[int],
        *,
        latent_dim: int,
        hidden_dims: Sequence[int],
        trainable_codebooks: bool = True,
        rotation: bool = False,
        gumbel_temperature: float | None = None,
        epochs: int = 1,
        balanced_levels: int = 0,
        sinkhorn_epsilon: float = 0.05,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        widths = [dim, *hidden_dims, latent_dim]
        self.encoder = _layers(widths)
        self.decoder = _layers(widths[::-1])
        self.codebooks = nn.ParameterList(torch.zeros(size, latent_dim) for size in codebook_sizes)
        self.codebooks.requires_grad_(trainable_codebooks)
        self.rotation = rotation
        self.gumbel_temperature = gumbel_temperature
        self.temperature = gumbel_temperature
        self.epochs = epochs
        self.balanced_levels = balanced_levels
        self.sinkhorn_epsilon = sinkhorn_epsilon
        self.seed = seed
        self.threads = threads
        self.noise = torch.Generator()

    def begin_epoch(self, epoch: int) -> None:
        """Set the noise and the temperature, which depend on the seed and the epoch alone."""
        self.noise.manual_seed(int(np.random.SeedSequence([self.seed, epoch]).generate_state(1)[0]))
        if self.gumbel_temperature is not None:
            self.temperature = self.gumbel_temperature * float(_COOLED ** (epoch / self.epochs))

    def autoencode(self, x: Tensor) -> Losses:
        """Compute the losses of vectors, float32 (batch, dim), without quantization."""
        latent = self.encoder(x)
        reconstructed = self.decoder(latent)
        none = np.zeros((len(x), 0), np.uint16)
        error = F.mse_loss(reconstructed, x)
        return Losses(error, torch.zeros(()), torch.zeros(()), none, (), latent, latent, reconstructed)

    def forward(self, x: Tensor) -> Losses:
        """Compute the losses of vectors, float32 (batch, dim)."""
        latent = self.encoder(x)  # (batch, latent)
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
            if self.temperature is not None:
                mixed = mixed + gumbel_words(residual, table, self.temperature, self.noise)
            residual, total = residual - word.detach(), total + word.detach()
        if self.temperature is not None:  # the decoder receives codewords; the gradient is of the mixtures
            through = straight_through(mixed, total)
        elif self.rotation:
            through = rotated(latent, total)
        else:
            through = straight_through(latent, total)
        reconstructed = self.decoder(through)
        error = F.mse_loss(reconstructed, x)
        return Losses(error, codebook, commitment, codes, tuple(residuals), latent, through, reconstructed)

    def _codes(self, latent: Tensor) -> npt.NDArray[np.uint16]:
        """Codes of latent vectors: the nearest codewords, as in `encode`, or balanced codes."""
        words = [codebook.detach().numpy() for codebook in self.codebooks]
        rows, threads = latent.detach().numpy(), self.threads
        if not self.balanced_levels:
            return assign_codes(rows, words, threads=threads)
        columns = []
        for level, table in enumerate(words):
            if level < len(words) - self.balanced_levels:
                columns.append(assign_codes(rows, [table], threads=threads)[:, 0])
            else:
                columns.append(balanced_codes(rows, table, self.sinkhorn_epsilon))
            rows = rows - table[columns[-1]]
        return np.stack(columns, axis=1)


def _layers(widths: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for into, out in pairwise(widths):
        layers += [nn.Linear(into, out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
