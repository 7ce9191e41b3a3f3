"""Sampled softmax over the items of a large catalogue.

The sum in the denominator of a softmax is estimated from the target and a sample of other items, each divided
by the probability that it is in the sample, which makes the estimate unbiased; for logits, this
subtracts the logarithm of that probability (the log-q correction: Bengio and Senécal, 2008; Jean et al.,
ACL 2015, arXiv 1412.2007). One sample serves all positions of a batch.

Shapes: P positions, D dimensions, N items, S items in a sample.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sidkit._arguments import checked
from sidkit.errors import ConfigError
from sidkit.models.layers.softmax import softmax_loss

__all__ = ["SampledSoftmax"]


@checked
class SampledSoftmax:
    """Cross-entropy of targets against a new sample of items at every call.

    Samples come from torch's default generator, so a resumed training draws the same samples.

    Args:
        items: number of items of the catalogue.
        negatives: size of the sample; from `items` on, the sample is the catalogue and the loss exact.
        counts: occurrences of each item, int64 (N,): items are drawn with replacement, in proportion to their
            count plus one. None for a uniform sample without replacement.

    Raises:
        ConfigError: if `negatives` is not positive, or `counts` does not hold one count of 0 or more per
            item.
    """

    def __init__(self, items: int, negatives: int, counts: NDArray[np.int64] | None = None) -> None:
        if negatives < 1:
            raise ConfigError(f"`negatives` must be 1 or more, got {negatives}")
        if counts is not None and (counts.shape != (items,) or (counts < 0).any()):
            raise ConfigError(
                f"`counts` must hold a number of 0 or more for each of {items} items, got {counts.shape}"
            )
        self.items, self.negatives = items, negatives
        self._share = None if counts is None else torch.from_numpy((counts + 1.0) / (counts + 1.0).sum())

    def sample(self) -> tuple[Tensor, Tensor]:
        """Draw distinct items, int64 (S,), and return the log-probability of each to be drawn, f32 (S,)."""
        if self.negatives >= self.items:
            return torch.arange(self.items), torch.zeros(self.items)
        if self._share is None:
            chosen = torch.randperm(self.items)[: self.negatives]
            return chosen, torch.full((len(chosen),), self.negatives / self.items).log()
        drawn = torch.searchsorted(self._share.cumsum(0), torch.rand(self.negatives, dtype=torch.float64))
        chosen = torch.unique(drawn.clamp(max=self.items - 1))
        # An item is in none of the draws with probability (1 - share)^negatives.
        missed = torch.log1p(-self._share[chosen]) * self.negatives
        return chosen, torch.log(-torch.expm1(missed)).float()

    def __call__(self, hidden: Tensor, target: Tensor, items: Tensor) -> Tensor:
        """Return the mean loss.

        Args:
            hidden: vector at each position, (P, D).
            target: item that followed it, int64 (P,).
            items: vectors of all items, (N, D) or more rows.

        Returns:
            f32 scalar, natural log.
        """
        chosen, log_chance = (part.to(hidden.device) for part in self.sample())
        column = torch.full((self.items,), -1, device=hidden.device)
        column[chosen] = torch.arange(len(chosen), device=hidden.device)
        positive = (hidden * items[target]).sum(-1).float()  # (P,)
        loss = softmax_loss(hidden, items[chosen], column[target], offset=-log_chance, positive=positive)
        return loss / len(hidden)
