"""A ranking model in one file: embeddings, a cross network beside a deep one, one logit."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sidkit.errors import ConfigError

__all__ = ["RankModel"]


class RankModel(nn.Module):
    """Will this user like this item? A cross network in parallel with a deep one.

    The cross layers are those of DCN-v2 (Wang et al., arXiv 2008.13535). An item looks the same to the model
    as the item to rank and in a user's history, so what stands for items is all that differs between two
    models with the same settings.

    Args:
        items: gives the vectors of all items, (items, dim); see `sidkit.ranking.item_vectors`.
        users: how many users there are.
        dim: length of the vectors of items and users.
        context: how many numbers are told beside.
        cross: cross layers.
        hidden: width of the two deep layers.
        unknown: in training, the share of events whose user is not told, as if met for the first time.

    Raises:
        ConfigError: if `unknown` is not a share.
    """

    def __init__(
        self,
        items: nn.Module,
        users: int,
        dim: int,
        *,
        context: int = 2,
        cross: int = 2,
        hidden: int = 64,
        unknown: float = 0.5,
    ) -> None:
        super().__init__()
        if not 0 <= unknown <= 1:
            raise ConfigError(f"unknown is a share of the events, within 0 and 1; got {unknown}")
        width = 4 * dim + context
        self.items, self.unknown = items, unknown
        # A user never trained on stays near zero, and so says little.
        self.users = nn.Embedding(users, dim)
        nn.init.normal_(self.users.weight, std=0.01)
        self.cross = nn.ModuleList(nn.Linear(width, width) for _ in range(cross))
        self.deep = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.logit = nn.Linear(width + hidden, 1)

    def forward(self, users: Tensor, items: Tensor, histories: Tensor, context: Tensor) -> Tensor:
        """Logits of liking, (n,).

        Args:
            users: int64 (n,).
            items: int64 (n,).
            histories: int64 (n, length), items liked before, padded with -1.
            context: float (n, context).
        """
        vectors = self.items()  # (items, dim)
        item = vectors[items]  # (n, dim)
        liked = _mean_of(vectors, histories)  # (n, dim)
        user = self.users(users)  # (n, dim)
        if self.training and self.unknown:
            # Or else the user's vector would explain away what context and history say, and users who came
            # after the training, who have no such vector, would be judged by half a model.
            user = user * (torch.rand(len(user), 1) >= self.unknown)
        x = torch.cat([user, item, liked, item * liked, context], dim=1)  # (n, width)
        crossed = x
        for layer in self.cross:
            crossed = x * layer(crossed) + crossed  # (n, width)
        logits: Tensor = self.logit(torch.cat([crossed, self.deep(x)], dim=1))  # (n, 1)
        return logits.squeeze(1)


def _mean_of(vectors: Tensor, lists: Tensor) -> Tensor:
    """The mean vector of each padded list, zero for an empty one: (items, dim), (n, length) -> (n, dim)."""
    present = lists >= 0
    lengths = present.sum(dim=1)
    offsets = torch.cumsum(lengths, dim=0) - lengths  # (n,)
    mean: Tensor = F.embedding_bag(lists[present], vectors, offsets, mode="mean")
    return mean
