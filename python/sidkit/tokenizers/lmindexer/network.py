"""Network of LMIndexer: linear map, codebooks, word reader, and its losses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit._core import assign_codes
from sidkit.tokenizers.lmindexer.options import READER_WIDTH
from sidkit.tokenizers.parts.whiten import Whitener
from sidkit.tokenizers.rqvae.estimators import straight_through

__all__ = ["Losses", "Network"]

#: Weight of the loss of latent vectors relative to that of codewords.
_NEARNESS = 0.25
#: Temperature of the cosines in the contrastive loss.
_CONTRAST_TEMPERATURE = 0.1
#: Share of the rows whose words are predicted from a shorter prefix, so that all prefixes become readable.
_SHORTER = 0.25


@dataclass(frozen=True)
class Losses:
    """Losses of one batch, scalars, and its codes.

    Attributes:
        words: mean cross-entropy in nats of the words that are not hints.
        quantization: squared error between codewords and residuals.
        contrastive: cross-entropy of an item among those with its prefix, by residuals.
        commitment: cross-entropy of the codes of the levels before.
        codes: uint16 (batch,), the codes of the trained level.
    """

    words: Tensor
    quantization: Tensor
    contrastive: Tensor
    commitment: Tensor
    codes: npt.NDArray[np.uint16]


class Network(nn.Module):
    """A linear map to latent vectors, one codebook per level, and a small reader of words.

    Args:
        x: float32 (n, dim), standardized vectors. The map is initialized by their principal components,
            scaled to mean variance 1.
        terms: number of terms of the reader.
        codebook_sizes: number of codewords of each level.
        latent_dim: maximum number of dimensions of the latent vectors.
        seed: seed of the noise.
        threads: maximum number of threads of the code assignment; None uses all cores.

    Attributes:
        temperatures: for each level, the mean squared distance to the codewords at its initialization, which
            scales distances to log-probabilities.
    """

    def __init__(
        self,
        x: npt.NDArray[np.float32],
        terms: int,
        *,
        codebook_sizes: Sequence[int],
        latent_dim: int,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        self.seed, self.threads = seed, threads
        latent_dim = min(latent_dim, x.shape[1])
        self.map = nn.Linear(x.shape[1], latent_dim)
        self.codebooks = nn.ParameterList(torch.zeros(size, latent_dim) for size in codebook_sizes)
        self.reader = nn.Sequential(
            nn.Linear(latent_dim, READER_WIDTH), nn.ReLU(), nn.Linear(READER_WIDTH, terms)
        )
        self.hints = nn.Linear(terms, latent_dim, bias=False)
        self.temperatures = [1.0] * len(codebook_sizes)
        self.noise = torch.Generator()
        self._initialize_map(x, latent_dim)

    def begin_epoch(self, epoch: int) -> None:
        """Set the noise, which depends on the seed and the epoch alone."""
        self.noise.manual_seed(int(np.random.SeedSequence([self.seed, epoch]).generate_state(1)[0]))

    def read(self, x: Tensor, bags: Tensor, hinted: float) -> Losses:
        """Compute the losses of vectors, float32 (batch, dim), without quantization; see `forward`."""
        words, zero = self._reading(self.map(x), bags, hinted), torch.zeros(())
        return Losses(words, zero, zero, zero, np.zeros(0, np.uint16))

    def forward(self, x: Tensor, bags: Tensor, hinted: float, prefix: Tensor) -> Losses:
        """Compute the losses of one level.

        Args:
            x: float32 (batch, dim), standardized.
            bags: float32 (batch, terms), the terms to predict.
            hinted: share of the terms given to the reader.
            prefix: int64 (batch, level), codes of the levels before, fixed at the end of each.
        """
        latent = self.map(x)  # (batch, latent)
        residual, total, commitment = latent, torch.zeros_like(latent), torch.zeros(())
        prefixes: list[Tensor] = []
        for level in range(prefix.shape[1]):
            table, chosen = self.codebooks[level].detach(), prefix[:, level]
            nearness = -torch.cdist(residual, table).square() / self.temperatures[level]  # (batch, codes)
            commitment = commitment + F.cross_entropy(nearness, chosen)
            residual, total = residual - table[chosen], total + table[chosen]
            prefixes.append(total)
        table = self.codebooks[prefix.shape[1]]
        codes = assign_codes(residual.detach().numpy(), [table.detach().numpy()], threads=self.threads)[:, 0]
        word = table[torch.from_numpy(codes.astype(np.int64))]  # (batch, latent)
        prefixes.append(total + word.detach())
        quantization = F.mse_loss(word, residual.detach())
        quantization = quantization + _NEARNESS * F.mse_loss(residual, word.detach())
        words = self._reading(straight_through(latent, self._some_shorter(prefixes)), bags, hinted)
        return Losses(words, quantization, self._contrastive(residual, prefix), commitment, codes)

    def _reading(self, latent: Tensor, bags: Tensor, hinted: float) -> Tensor:
        shown = torch.rand(bags.shape, generator=self.noise) < hinted
        hints, left = bags * shown, bags * ~shown
        left = left / left.sum(1, keepdim=True).clamp_min(1e-9)  # a bag with hints only has loss 0
        logits = self.reader(latent + self.hints(hints))  # (batch, terms)
        return -(left * F.log_softmax(logits, 1)).sum(1).mean()

    def _some_shorter(self, prefixes: list[Tensor]) -> Tensor:
        last = len(prefixes) - 1
        rows = len(prefixes[0])
        if not last:
            return prefixes[0]
        shorter = torch.rand(rows, generator=self.noise) < _SHORTER
        lengths = torch.where(shorter, torch.randint(last, (rows,), generator=self.noise), last)
        return torch.stack(prefixes, 1)[torch.arange(rows), lengths]

    def _contrastive(self, residual: Tensor, prefix: Tensor) -> Tensor:
        """Cross-entropy of each item among those of the batch with its prefix, by residuals."""
        # Slightly shorter than 1: a residual near 0 has no meaningful direction.
        floor = 0.01 * self.temperatures[prefix.shape[1]]
        directions = residual / (residual.square().sum(1, keepdim=True) + floor).sqrt()
        cosines = directions @ directions.T / _CONTRAST_TEMPERATURE  # (batch, batch)
        same = (prefix[:, None] == prefix[None]).all(2)
        return F.cross_entropy(cosines.masked_fill(~same, -torch.inf), torch.arange(len(residual)))

    @torch.no_grad()
    def _initialize_map(self, x: npt.NDArray[np.float32], latent_dim: int) -> None:
        directions = Whitener.fit(x, latent_dim).state()["whitener.forward"]
        lengths = np.linalg.norm(directions, axis=1, keepdims=True)
        directions = directions / np.where(lengths > 0, lengths, 1)
        variance = float((x @ directions.T).var(axis=0).mean())
        self.map.weight.copy_(torch.from_numpy(directions / max(variance, 1e-12) ** 0.5))
        self.map.bias.zero_()
