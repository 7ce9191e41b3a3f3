"""Building blocks of networks over sequences: a causal transformer block, rotary positions, stacked GRUs."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit.models.layers.dropout import ByteDropout

__all__ = ["CausalBlock", "KeysValues", "Rotations", "recur", "rotations"]

KeysValues = tuple[Tensor, Tensor]
Rotations = tuple[Tensor, Tensor]


def rotations(first: int, positions: int, width: int, device: torch.device) -> Rotations:
    """Return rotary positions: cosines and sines (T, E/2) of the angles that rotate queries and keys.

    Attention then depends on the distance of two positions only (Su et al., arXiv 2104.09864), which
    generalizes to sequences longer than any in training.

    Args:
        first: first position.
        positions: number of positions, T.
        width: width of a head, E; even.
        device: device of the result.
    """
    speeds = 10_000.0 ** (-torch.arange(0, width, 2, device=device) / width)  # (E/2,)
    angles = torch.arange(first, first + positions, device=device)[:, None] * speeds  # (T, E/2)
    return angles.cos(), angles.sin()


class CausalBlock(nn.Module):
    """Causal self-attention and a GELU feed-forward layer, both pre-normalized: (B, T, D) to (B, T, D).

    Shapes: B sequences, T positions, D = d_model, H heads, E = D / H.

    Args:
        d_model: width of the residual stream.
        heads: attention heads; must divide `d_model`.
        dropout: dropout rate on the outputs of the block and inside the feed-forward layer.
        attention_dropout: dropout rate on the attention weights.
    """

    def __init__(self, d_model: int, heads: int, dropout: float, attention_dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.attention_dropout = attention_dropout
        self.attention_norm = nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(d_model),
            nn.Linear(d_model, 4 * d_model),
            nn.GELU(),
            ByteDropout(dropout),
            nn.Linear(4 * d_model, d_model),
            ByteDropout(dropout),
        )
        self.dropout = ByteDropout(dropout)

    def forward(self, x: Tensor, at: Rotations | None = None) -> Tensor:
        """Attend from every position to itself and those before it; `at` are rotary positions, if any."""
        return self.forward_with_cache(x, at)[0]

    def forward_with_cache(self, x: Tensor, at: Rotations | None = None) -> tuple[Tensor, KeysValues]:
        """Return the result of `forward`, and the keys and values (B, H, T, E) for later positions."""
        q, k, v = self._project(x, at)  # (B, H, T, E)
        rate = self.attention_dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=rate, is_causal=True)  # (B, H, T, E)
        return self._close(x, mixed.transpose(1, 2).flatten(2)), (k, v)

    def step(
        self, x: Tensor, memory: KeysValues, generated: KeysValues | None, at: Rotations | None = None
    ) -> tuple[Tensor, KeysValues]:
        """Attend from the next position of R sequences to all positions before it, and to itself.

        The sequences have common beginnings in groups of W: R = B·W. The beginning of a group is one memory,
        attended to by W queries and never copied; the positions after it are separate for each row.

        Args:
            x: the position, (R, 1, D).
            memory: keys and values of the common beginnings, (B, H, S, E).
            generated: keys and values of the positions generated since, (R, H, t, E); `None` for none.
            at: rotary position, if any.

        Returns:
            (R, 1, D), and keys and values of the positions generated now, (R, H, t + 1, E).
        """
        q, k, v = self._project(x, at)  # (R, H, 1, E)
        if generated is not None:
            k, v = torch.cat([generated[0], k], 2), torch.cat([generated[1], v], 2)
        shared_keys, shared_values = memory
        groups, heads, seen, width = shared_keys.shape
        queries = q.view(groups, -1, heads, width).transpose(1, 2)  # (B, H, W, E)
        far = (queries @ shared_keys.transpose(-1, -2)).transpose(1, 2)  # (B, W, H, S)
        near = (q @ k.transpose(-1, -2)).flatten(1, 2)  # (R, H, t)
        logits = torch.cat([far.reshape(-1, heads, seen), near], -1) * width**-0.5  # (R, H, S + t)
        weights = logits.softmax(-1)
        far = weights[..., :seen].reshape(groups, -1, heads, seen).transpose(1, 2)  # (B, H, W, S)
        mixed = (far @ shared_values).transpose(1, 2).reshape(q.shape)  # (R, H, 1, E)
        mixed = mixed + weights[..., None, seen:] @ v
        return self._close(x, mixed.transpose(1, 2).flatten(2)), (k, v)

    def _project(self, x: Tensor, at: Rotations | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, H, T, E)."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(self.attention_norm(x)).chunk(3, dim=-1)
        )
        return (q, k, v) if at is None else (_rotated(q, at), _rotated(k, at), v)

    def _close(self, x: Tensor, mixed: Tensor) -> Tensor:
        """Add the output of attention, (B, T, D), to the residual stream; apply the feed-forward layer."""
        x = x + self.dropout(self.out(mixed))
        out: Tensor = x + self.feed_forward(x)
        return out


def _rotated(x: Tensor, at: Rotations) -> Tensor:
    """Rotate the pairs (e, e + E/2) of vectors (B, H, T, E) by the angles of their positions."""
    left, right = x.chunk(2, dim=-1)  # (B, H, T, E/2) each
    cos, sin = (part.to(x.dtype) for part in at)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], -1)


def recur(layers: Iterable[nn.Module], dropout: nn.Module, x: Tensor) -> Tensor:
    """Apply stacked GRUs to (B, T, D), with dropout before the first and after each.

    A position depends on itself and those before it.
    """
    x = dropout(x)
    # The products of a step are too small to gain from bfloat16.
    with torch.autocast(x.device.type, enabled=False):
        for layer in layers:
            x = dropout(layer(x.float())[0])
    return x
