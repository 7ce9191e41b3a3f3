"""BSARec: self-attention in parallel with a low-pass filter over the items of a history.

Shin, Choi, Wi and Park, "An Attentive Inductive Bias for Sequential Recommendation beyond the
Self-Attention", AAAI 2024 (arXiv 2312.10325). The original filters a window padded on the left in the
frequency domain, and encodes every prefix of a history as a separate example. Here the same filter is a
causal convolution: its output at a position equals that of the original's filter at the end of the prefix
that ends there, so one pass trains all positions of a history.

Shapes: B users, T positions, D = d_model, H heads, E = D / H.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit._settings import Count, Depth, Fraction, Width
from sidkit.errors import ConfigError
from sidkit.models.layers.dropout import ByteDropout
from sidkit.models.next_item import NextItemModel

__all__ = ["BSARecNetwork", "low_pass_kernel"]


class BSARecNetwork(NextItemModel):
    """A transformer whose layers mix causal self-attention and a causal low-pass filter.

    Args:
        items: number of items in the catalogue.
        d_model: width of the item vectors and of the layers.
        layers: layers of attention, filter and feed-forward network.
        heads: attention heads; must divide `d_model`.
        dropout: dropout rate on embeddings and layer outputs.
        attention_dropout: dropout rate on attention weights.
        filter_share: weight of the filter in each layer; that of attention is the rest.
        frequencies: lowest frequencies of a window of `max_items` that pass the filter, the mean included.
        max_items: most recent items of a history that are encoded.

    Raises:
        ConfigError: if `heads` does not divide `d_model`, or the window has fewer frequencies.
    """

    kernel: Tensor

    def __init__(
        self,
        items: Count,
        *,
        d_model: Width = 64,
        layers: Depth = 2,
        heads: Width = 1,
        dropout: Fraction = 0.5,
        attention_dropout: Fraction = 0.5,
        filter_share: float = 0.7,
        frequencies: Width = 3,
        max_items: Width = 50,
    ) -> None:
        super().__init__()
        if d_model % heads:
            raise ConfigError(f"`d_model` must be a multiple of `heads`, got {d_model} with {heads} heads")
        if not 1 <= frequencies <= max_items // 2 + 1:
            raise ConfigError(
                f"invalid `frequencies`: expected 1 to {max_items // 2 + 1} for `max_items` {max_items}, "
                f"got {frequencies}."
            )
        self.settings = {
            "items": items,
            "d_model": d_model,
            "layers": layers,
            "heads": heads,
            "dropout": dropout,
            "attention_dropout": attention_dropout,
            "filter_share": filter_share,
            "frequencies": frequencies,
            "max_items": max_items,
        }
        self.max_items = max_items
        self._add_items(items, d_model)
        self.position = nn.Embedding(max_items, d_model)
        self.norm = nn.LayerNorm(d_model)
        self.dropout = ByteDropout(dropout)
        self.register_buffer("kernel", low_pass_kernel(max_items, frequencies), persistent=False)
        self.layers = nn.ModuleList(
            _Layer(d_model, heads, dropout, attention_dropout, filter_share) for _ in range(layers)
        )
        self._initialize_items()
        nn.init.normal_(self.position.weight, std=0.02)

    def hidden(self, history: Tensor) -> Tensor:
        """Encode histories, int64 (B, T), padded on the right with `items`, as vectors (B, T, D)."""
        length = history.shape[1]
        places = torch.arange(length, device=history.device)
        distance = places[:, None] - places  # (T, T)
        low = self.kernel[distance.clamp(min=0)].tril()  # (T, T)
        x: Tensor = self.dropout(self.norm(self.item(history) + self.position(places)))  # (B, T, D)
        for layer in self.layers:
            x = layer(x, low)  # (B, T, D)
        return x


class _Layer(nn.Module):
    """One layer, post-normalized: (B, T, D) to (B, T, D)."""

    def __init__(
        self, d_model: int, heads: int, dropout: float, attention_dropout: float, filter_share: float
    ) -> None:
        super().__init__()
        self.heads = heads
        self.attention_dropout = attention_dropout
        self.filter_share = filter_share
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.high = nn.Parameter(torch.randn(d_model))  # square root of the weight of the high frequencies
        self.expand = nn.Linear(d_model, 4 * d_model)
        self.contract = nn.Linear(4 * d_model, d_model)
        self.attention_norm = nn.LayerNorm(d_model)
        self.filter_norm = nn.LayerNorm(d_model)
        self.feed_forward_norm = nn.LayerNorm(d_model)
        self.dropout = ByteDropout(dropout)
        for linear in (self.qkv, self.out, self.expand, self.contract):
            nn.init.normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, low: Tensor) -> Tensor:
        """Mix the outputs of attention and of the filter `low`, (T, T); apply the feed-forward network."""
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        rate = self.attention_dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=rate, is_causal=True)  # (B, H, T, E)
        attended = self.attention_norm(x + self.dropout(self.out(mixed.transpose(1, 2).flatten(2))))
        smooth = low.to(x.dtype) @ x  # (B, T, D)
        filtered = self.filter_norm(x + self.dropout(smooth + self.high**2 * (x - smooth)))
        x = self.filter_share * filtered + (1 - self.filter_share) * attended
        fed = self.contract(F.gelu(self.expand(x)))
        out: Tensor = self.feed_forward_norm(x + self.dropout(fed))
        return out


def low_pass_kernel(window: int, frequencies: int) -> Tensor:
    """Return weights by distance that pass the lowest frequencies of a window, float32 (window,).

    They are a row of the projection onto the first `frequencies` components of the discrete Fourier
    transform.
    """
    distance = torch.arange(window, dtype=torch.float64)
    kernel = torch.ones(window, dtype=torch.float64)
    for frequency in range(1, frequencies):
        half = 2 * frequency == window  # the highest frequency of an even window occurs once
        kernel += (1 if half else 2) * torch.cos(2 * math.pi * frequency * distance / window)
    return (kernel / window).float()
