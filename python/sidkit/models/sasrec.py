"""SASRec: a causal transformer over items, the baseline that every generative model is compared with.

Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018 (arXiv 1808.09781), trained with the
full softmax cross-entropy over the catalogue at every position, which makes it a strong baseline (Klenitskiy
and Vasilev, RecSys 2023).

Shapes: B users, T positions, D = d_model, N items.
"""

import torch
from torch import Tensor, nn

from sidkit._settings import Count, Depth, Fraction, Width
from sidkit.errors import ConfigError
from sidkit.models.layers.blocks import CausalBlock
from sidkit.models.layers.dropout import ByteDropout
from sidkit.models.next_item import NextItemModel

__all__ = ["SASRecNetwork"]


class SASRecNetwork(NextItemModel):
    """A causal transformer whose output vector at each position is scored against the vectors of all items.

    Args:
        items: number of items of the catalogue.
        d_model: width of the item vectors and of the residual stream.
        layers: transformer layers.
        heads: attention heads; must divide `d_model`.
        dropout: dropout rate on embeddings and block outputs.
        attention_dropout: dropout rate on attention weights.
        scale_embeddings: multiply the item vectors that are encoded by the square root of `d_model`, as in
            "Attention Is All You Need". Without it, the last item of a history has little influence on the
            residual stream of an untrained network, and training is slow.
        max_items: most recent items of a history that are encoded.
    """

    def __init__(
        self,
        items: Count,
        *,
        d_model: Width = 128,
        layers: Depth = 2,
        heads: Width = 2,
        dropout: Fraction = 0.3,
        attention_dropout: Fraction = 0.0,
        scale_embeddings: bool = False,
        max_items: Width = 50,
    ) -> None:
        super().__init__()
        if d_model % heads:
            raise ConfigError(f"`d_model` must be a multiple of `heads`, got {d_model} with {heads} heads")
        self.settings = {
            "items": items,
            "d_model": d_model,
            "layers": layers,
            "heads": heads,
            "dropout": dropout,
            "attention_dropout": attention_dropout,
            "scale_embeddings": scale_embeddings,
            "max_items": max_items,
        }
        self.max_items = max_items
        self.scale = d_model**0.5 if scale_embeddings else 1.0
        self._add_items(items, d_model)
        self.position = nn.Embedding(max_items, d_model)
        self.blocks = nn.ModuleList(
            CausalBlock(d_model, heads, dropout, attention_dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(d_model)
        self.dropout = ByteDropout(dropout)
        self._initialize_items()
        nn.init.normal_(self.position.weight, std=0.02)

    def hidden(self, history: Tensor) -> Tensor:
        """Encode histories, padded on the right with `items`.

        Args:
            history: item indices, oldest first, int64 (B, T) with T <= `max_items`.

        Returns:
            (B, T, D). Attention is causal, so padding on the right does not affect a real position.
        """
        positions = torch.arange(history.shape[1], device=history.device)
        x = self.dropout(self.item(history) * self.scale + self.position(positions))  # (B, T, D)
        for block in self.blocks:
            x = block(x)  # (B, T, D)
        out: Tensor = self.norm(x)
        return out
