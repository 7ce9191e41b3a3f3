"""Base of networks that score items by one vector each.

Shapes: B users, T positions, P real positions, D = d_model, N items.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit.models.layers.lengths import length_groups
from sidkit.models.layers.softmax import softmax_loss

__all__ = ["NextItemModel"]


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
        h = self.positions(history, target)  # (P, D)
        return softmax_loss(h, self.item.weight[: self.items], target[target < self.items]) / len(h)

    def positions(self, history: Tensor, target: Tensor) -> Tensor:
        """Return the vectors of the real positions, row by row, (P, D); see `forward` for the arguments."""
        real = target < self.items  # (B, T)
        groups = length_groups(real.sum(1))
        return torch.cat([self.hidden(history[rows, :width])[real[rows, :width]] for rows, width in groups])

    def item_scores(self, history: Tensor, lengths: Tensor) -> Tensor:
        """Score all items after histories of some lengths, int64 (B,), padded on the right: f32 (B, N)."""
        ends = (lengths - 1).clamp(min=0)
        rows = torch.arange(len(history), device=history.device)
        return self.scores(self.hidden(history)[rows, ends])

    def scores(self, hidden: Tensor) -> Tensor:
        """Return the inner products of vectors (P, D) with all items, (P, N)."""
        return F.linear(hidden, self.item.weight[: self.items])
