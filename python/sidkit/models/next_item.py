"""Base of networks that score items by one vector each.

Shapes: B users, T positions, P real positions, D = d_model, N items.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

__all__ = ["NextItemModel"]

# Scores that a training step holds at once: 400 MB in f32, and the softmax needs a few times as much.
_SCORES = 100_000_000


class NextItemModel(nn.Module, ABC):
    """A network whose output vector at each position is scored against the vectors of all items.

    The same vectors are its input. A subclass calls `_add_items`, creates its layers, calls
    `_initialize_items`, and implements `hidden`.
    """

    def _add_items(self, items: int, d_model: int) -> None:
        self.items = items
        self.item = nn.Embedding(items + 1, d_model, padding_idx=items)  # the last row is padding

    def _initialize_items(self) -> None:
        nn.init.normal_(self.item.weight, std=0.02)
        with torch.no_grad():
            self.item.weight[self.items].zero_()

    @abstractmethod
    def hidden(self, history: Tensor) -> Tensor:
        """Encode histories, padded on the right with `items`.

        Args:
            history: item indices, oldest first, int64 (B, T).

        Returns:
            (B, T, D). A position depends on itself and those before it, so padding on the right does not
            affect a real one.
        """

    def forward(self, history: Tensor, target: Tensor) -> Tensor:
        """Return the mean cross-entropy of the next item over all real positions.

        Args:
            history: int64 (B, T), padded on the right with `items`.
            target: the item that followed each position, int64 (B, T), padded likewise.

        Returns:
            f32 scalar, natural log.
        """
        real = target < self.items  # (B, T)
        h, following = self.hidden(history)[real], target[real]  # (P, D), (P,)
        at_once = max(1, _SCORES // self.items)
        if len(h) <= at_once:
            return F.cross_entropy(self.scores(h).float(), following)
        # Part by part, recomputed in the backward pass: memory of one part.
        total = torch.zeros((), device=h.device)
        for part, goal in zip(torch.split(h, at_once), torch.split(following, at_once), strict=True):
            total = total + checkpoint(
                self._summed_loss, part, goal, use_reentrant=False, preserve_rng_state=False
            )
        return total / len(h)

    def _summed_loss(self, h: Tensor, target: Tensor) -> Tensor:
        """Return the summed cross-entropy over positions (P, D)."""
        return F.cross_entropy(self.scores(h).float(), target, reduction="sum")

    def scores(self, hidden: Tensor) -> Tensor:
        """Return the inner products of vectors (P, D) with all items, (P, N)."""
        return F.linear(hidden, self.item.weight[: self.items])
