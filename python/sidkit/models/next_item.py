"""Base of networks that score items by one vector each.

Shapes: B users, T positions, P real positions, D = d_model, N items.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit.models.softmax import softmax_loss

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
        real = target < self.items  # (B, T)
        h, following = self.hidden(history)[real], target[real]  # (P, D), (P,)
        return softmax_loss(h, self.item.weight[: self.items], following) / len(h)

    def scores(self, hidden: Tensor) -> Tensor:
        """Return the inner products of vectors (P, D) with all items, (P, N)."""
        return F.linear(hidden, self.item.weight[: self.items])
