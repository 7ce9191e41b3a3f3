"""The network of an LMIndexer, with torch: the map, codebooks, the reader of words, and its losses."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit._core import assign_codes
from sidkit.tokenizers.lmindexer.lmindexer import READER_WIDTH
from sidkit.tokenizers.parts.whiten import Whitener
from sidkit.tokenizers.rqvae.estimators import straight_through

if TYPE_CHECKING:
    from sidkit.tokenizers.lmindexer.lmindexer import LMIndexer

__all__ = ["Losses", "Network"]

#: Of the loss that keeps latents near their codewords, beside that of codewords near their latents.
_NEARNESS = 0.25
#: Of the cosines in the contrast.
_CONTRAST_TEMPERATURE = 0.1
#: Part of the rows of which a shorter prefix is read, so that all prefixes can be read in the end.
_SHORTER = 0.25


@dataclass(frozen=True)
class Losses:
    """The losses of one batch, scalars, and the tokens it chose.

    Attributes:
        words: mean cross-entropy of the words that were not hinted, in nats.
        quantization: of codewords and what they stand for.
        contrast: how hard it is to tell an item from those that share its prefix, by what is left of it.
        commitment: cross-entropy of the tokens of the levels before.
        codes: uint16 (batch,), of the level that is trained.
    """

    words: Tensor
    quantization: Tensor
    contrast: Tensor
    commitment: Tensor
    codes: npt.NDArray[np.uint16]


class Network(nn.Module):
    """A linear map to latents, a codebook a level, and a small reader that says words of latents.

    Args:
        settings: of the tokenizer.
        x: float32 (n, dim), standardized vectors. The map starts as their principal components, of mean
            variance 1.
        terms: how many the reader knows.

    Attributes:
        temperatures: of each level, the mean squared distance to codewords when the level began; that is
            what one nat of a token's log-probability is worth.
    """

    def __init__(self, settings: "LMIndexer", x: npt.NDArray[np.float32], terms: int) -> None:
        super().__init__()
        self.settings = settings
        components = min(settings.components, x.shape[1])
        self.map = nn.Linear(x.shape[1], components)
        self.codebooks = nn.ParameterList(torch.zeros(size, components) for size in settings.codebook_sizes)
        self.reader = nn.Sequential(
            nn.Linear(components, READER_WIDTH), nn.ReLU(), nn.Linear(READER_WIDTH, terms)
        )
        self.hints = nn.Linear(terms, components, bias=False)
        self.temperatures = [1.0] * len(settings.codebook_sizes)
        self.noise = torch.Generator()
        self._start_map(x, components)

    def begin_epoch(self, epoch: int) -> None:
        """Set the noise, which depends on the seed and the epoch only."""
        self.noise.manual_seed(int(np.random.SeedSequence([self.settings.seed, epoch]).generate_state(1)[0]))

    def plain(self, x: Tensor, bags: Tensor, hinted: float) -> Losses:
        """Losses of vectors, float32 (batch, dim), without quantization; the others as of `forward`."""
        words, zero = self._reading(self.map(x), bags, hinted), torch.zeros(())
        return Losses(words, zero, zero, zero, np.zeros(0, np.uint16))

    def forward(self, x: Tensor, bags: Tensor, hinted: float, tokens: Tensor) -> Losses:
        """Losses of the level that follows some tokens.

        Args:
            x: float32 (batch, dim), standardized.
            bags: float32 (batch, terms), to be read of the tokens.
            hinted: share of their terms that the reader is given.
            tokens: int64 (batch, level), of the levels before, chosen when each was done.
        """
        latent = self.map(x)  # (batch, components)
        residual, total, commitment = latent, torch.zeros_like(latent), torch.zeros(())
        prefixes = []
        for level in range(tokens.shape[1]):
            table, chosen = self.codebooks[level].detach(), tokens[:, level]
            nearness = -torch.cdist(residual, table).square() / self.temperatures[level]  # (batch, codes)
            commitment = commitment + F.cross_entropy(nearness, chosen)
            residual, total = residual - table[chosen], total + table[chosen]
            prefixes.append(total)
        table = self.codebooks[tokens.shape[1]]
        codes = assign_codes(
            residual.detach().numpy(), [table.detach().numpy()], threads=self.settings.threads
        )[:, 0]
        word = table[torch.from_numpy(codes.astype(np.int64))]  # (batch, components)
        prefixes.append(total + word.detach())
        quantization = F.mse_loss(word, residual.detach())
        quantization = quantization + _NEARNESS * F.mse_loss(residual, word.detach())
        words = self._reading(straight_through(latent, self._some_shorter(prefixes)), bags, hinted)
        return Losses(words, quantization, self._contrast(residual, tokens), commitment, codes)

    def _reading(self, latent: Tensor, bags: Tensor, hinted: float) -> Tensor:
        shown = torch.rand(bags.shape, generator=self.noise) < hinted
        hints, left = bags * shown, bags * ~shown
        left = left / left.sum(1, keepdim=True).clamp_min(1e-9)  # a bag that is all hints counts nothing
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

    def _contrast(self, residual: Tensor, tokens: Tensor) -> Tensor:
        """Each item has to be found by its residual among those of the batch that share its prefix."""
        # Not quite of length 1: what is nearly its codeword has no direction worth a gradient.
        floor = 0.01 * self.temperatures[tokens.shape[1]]
        directions = residual / (residual.square().sum(1, keepdim=True) + floor).sqrt()
        cosines = directions @ directions.T / _CONTRAST_TEMPERATURE  # (batch, batch)
        same = (tokens[:, None] == tokens[None]).all(2)
        return F.cross_entropy(cosines.masked_fill(~same, -torch.inf), torch.arange(len(residual)))

    @torch.no_grad()
    def _start_map(self, x: npt.NDArray[np.float32], components: int) -> None:
        directions = Whitener.fit(x, components).state()["whitener.forward"]
        lengths = np.linalg.norm(directions, axis=1, keepdims=True)
        directions = directions / np.where(lengths > 0, lengths, 1)
        variance = float((x @ directions.T).var(axis=0).mean())
        self.map.weight.copy_(torch.from_numpy(directions / max(variance, 1e-12) ** 0.5))
        self.map.bias.zero_()
