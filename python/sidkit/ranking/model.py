"""Ranking model: embeddings, a cross network in parallel with a deep network, one logit."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sidkit._arguments import Bounds, Size, checked

__all__ = ["RankModel"]


@checked
class RankModel(nn.Module):
    """Click model that predicts whether a user likes an item.

    The cross layers are those of DCN-v2 (Wang et al., arXiv 2008.13535). The item to rank and the items of
    the history share one representation, so two models with equal settings differ in it alone.

    Args:
        items: module that returns the vectors of all items, (items, dim); see `sidkit.ranking.item_vectors`.
        users: number of users.
        dim: length of the vectors of items and users.
        context: number of context features.
        cross: number of cross layers.
        hidden: width of the two deep layers.
        user_dropout: share of training events without the user embedding, as for a new user.

    Raises:
        ConfigError: if a setting is out of range.
    """

    def __init__(
        self,
        items: nn.Module,
        users: Size,
        dim: Annotated[int, Bounds(ge=1, le=1024)],
        *,
        context: Annotated[int, Bounds(ge=0, le=4096)] = 2,
        cross: Annotated[int, Bounds(ge=0, le=16)] = 2,
        hidden: Annotated[int, Bounds(ge=1, le=4096)] = 64,
        user_dropout: Annotated[float, Bounds(ge=0.0, le=1.0)] = 0.5,
    ) -> None:
        super().__init__()
        width = 4 * dim + context
        self.items, self.user_dropout = items, user_dropout
        # The vector of a user without training events stays near zero.
        self.users = nn.Embedding(users, dim)
        nn.init.normal_(self.users.weight, std=0.01)
        self.cross = nn.ModuleList(nn.Linear(width, width) for _ in range(cross))
        self.deep = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.logit = nn.Linear(width + hidden, 1)

    def forward(self, users: Tensor, items: Tensor, histories: Tensor, context: Tensor) -> Tensor:
        """Compute the logits of the events, (n,).

        Args:
            users: int64 (n,).
            items: int64 (n,).
            histories: int64 (n, length), liked items, padded with -1.
            context: float (n, context).
        """
        vectors = self.items()  # (items, dim)
        item = vectors[items]  # (n, dim)
        liked = _mean_of(vectors, histories)  # (n, dim)
        user = self.users(users)  # (n, dim)
        if self.training and self.user_dropout:
            # Without dropout the user embedding dominates context and history, which are all that the model
            # has for users without training events.
            user = user * (torch.rand(len(user), 1) >= self.user_dropout)
        x = torch.cat([user, item, liked, item * liked, context], dim=1)  # (n, width)
        crossed = x
        for layer in self.cross:
            crossed = x * layer(crossed) + crossed  # (n, width)
        logits: Tensor = self.logit(torch.cat([crossed, self.deep(x)], dim=1))  # (n, 1)
        return logits.squeeze(1)


def _mean_of(vectors: Tensor, lists: Tensor) -> Tensor:
    """Average the vectors of each padded list, zero if empty: (items, dim), (n, length) -> (n, dim)."""
    present = lists >= 0
    lengths = present.sum(dim=1)
    offsets = torch.cumsum(lengths, dim=0) - lengths  # (n,)
    mean: Tensor = F.embedding_bag(lists[present], vectors, offsets, mode="mean")
    return mean
