"""Layers of TIGER's transformer: T5 blocks with incremental decoding.

Shapes: B users, T queries, S keys, W beams a user, D = d_model, H heads, E = d_head.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit.models.layers.blocks import KeysValues
from sidkit.models.layers.dropout import ByteDropout
from sidkit.models.token_model import TokenState

__all__ = ["DecoderLayer", "EncoderLayer", "RelativeBias", "TIGERState", "initialize"]


class TIGERState(TokenState):
    """Incremental decoding state.

    Attributes:
        memory, generated, level: see `TokenState`.
        users: number of histories that are decoded.
        mask: mask of the memory, see `TIGERNetwork.encode_vectors`.
    """

    def __init__(self, memory: list[KeysValues], users: int, mask: Tensor | None = None) -> None:
        super().__init__(memory)
        self.users = users
        self.mask = mask

    def append(self, layer: int, keys: Tensor, values: Tensor) -> KeysValues:
        """Append the newest position's keys and values, (B·W, H, 1, E), and return all of the layer."""
        if layer == len(self.generated):
            self.generated.append((keys, values))
        else:
            old_keys, old_values = self.generated[layer]
            self.generated[layer] = (torch.cat([old_keys, keys], 2), torch.cat([old_values, values], 2))
        return self.generated[layer]


@dataclass(frozen=True)
class _HeadShape:
    heads: int
    d_head: int

    def split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, self.d_head).transpose(1, 2)  # (B, T, H·E) -> (B, H, T, E)

    def merge(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2).flatten(2)  # (B, H, T, E) -> (B, T, H·E)


def _attend(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, dropout: ByteDropout, scale: float
) -> Tensor:
    weights = (q * scale) @ k.transpose(-1, -2)  # (B, H, T, S)
    if bias is not None:
        weights = weights + bias.to(weights.dtype)
    mixed: Tensor = dropout(weights.softmax(-1)) @ v  # (B, H, T, E)
    return mixed


class _SelfAttention(nn.Module):
    def __init__(self, d_model: int, heads: int, d_head: int, dropout: float) -> None:
        super().__init__()
        self.shape = _HeadShape(heads, d_head)
        self.norm = nn.RMSNorm(d_model, eps=1e-6)
        self.qkv = nn.Linear(d_model, 3 * heads * d_head, bias=False)
        self.out = nn.Linear(heads * d_head, d_model, bias=False)
        self.dropout = ByteDropout(dropout)
        self.scale = d_head**-0.5

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        return self.shape.split(q), self.shape.split(k), self.shape.split(v)  # each (B, H, T, E)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        q, k, v = self.project(x)
        mixed = self.shape.merge(_attend(q, k, v, bias, self.dropout, self.scale))  # (B, T, H·E)
        out: Tensor = x + self.dropout(self.out(mixed))
        return out


class _CrossAttention(nn.Module):
    def __init__(self, d_model: int, heads: int, d_head: int, dropout: float) -> None:
        super().__init__()
        self.shape = _HeadShape(heads, d_head)
        self.norm = nn.RMSNorm(d_model, eps=1e-6)
        self.q = nn.Linear(d_model, heads * d_head, bias=False)
        self.kv = nn.Linear(d_model, 2 * heads * d_head, bias=False)
        self.out = nn.Linear(heads * d_head, d_model, bias=False)
        self.dropout = ByteDropout(dropout)
        self.scale = d_head**-0.5

    def project(self, memory: Tensor) -> KeysValues:
        k, v = self.kv(memory).chunk(2, dim=-1)
        return self.shape.split(k), self.shape.split(v)  # each (B, H, S, E)

    def forward(self, x: Tensor, memory: KeysValues, mask: Tensor | None) -> Tensor:
        # All beams of a user are queries of one attention over the user's memory: (B·W, T, D) -> (B, W·T, D).
        keys, values = memory
        queries = self.q(self.norm(x)).reshape(len(keys), -1, self.q.out_features)
        mixed = _attend(self.shape.split(queries), keys, values, mask, self.dropout, self.scale)
        out: Tensor = x + self.dropout(self.out(self.shape.merge(mixed).reshape(*x.shape[:2], -1)))
        return out


class _FeedForward(nn.Module):
    def __init__(self, d_model: int, d_ff: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(d_model, eps=1e-6)
        self.wide = nn.Linear(d_model, d_ff, bias=False)
        self.narrow = nn.Linear(d_ff, d_model, bias=False)
        self.dropout = ByteDropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.dropout(self.narrow(self.dropout(F.relu(self.wide(self.norm(x))))))
        return out


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward network, (B, S, D) to (B, S, D)."""

    def __init__(self, d_model: int, heads: int, d_head: int, d_ff: int, dropout: float) -> None:
        super().__init__()
        self.attention = _SelfAttention(d_model, heads, d_head, dropout)
        self.feed_forward = _FeedForward(d_model, d_ff, dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Apply the layer; `bias` is added to the attention logits, (1 or B, H, S, S)."""
        out: Tensor = self.feed_forward(self.attention(x, bias))
        return out


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention to the memory, and feed-forward network, (B·W, T, D) to (B·W, T, D)."""

    def __init__(self, d_model: int, heads: int, d_head: int, d_ff: int, dropout: float) -> None:
        super().__init__()
        self.attention = _SelfAttention(d_model, heads, d_head, dropout)
        self.cross = _CrossAttention(d_model, heads, d_head, dropout)
        self.feed_forward = _FeedForward(d_model, d_ff, dropout)

    def forward(self, x: Tensor, bias: Tensor, memory: KeysValues, mask: Tensor | None) -> Tensor:
        """Apply the layer to all positions at once.

        Args:
            x: (B·W, T, D).
            bias: added to the logits of the self-attention, (1, H, T, T).
            memory: keys and values of the histories, from `cross.project`, each (B, H, S, E).
            mask: added to the logits of the cross-attention, (1 or B, 1, 1 or W·T, S), or None.
        """
        out: Tensor = self.feed_forward(self.cross(self.attention(x, bias), memory, mask))
        return out

    def step(self, x: Tensor, bias: Tensor, state: TIGERState, index: int) -> Tensor:
        """Apply the layer to the newest position, (B·W, 1, D); append its keys and values to the state."""
        attention = self.attention
        q, k, v = attention.project(x)  # (B·W, H, 1, E)
        keys, values = state.append(index, k, v)  # (B·W, H, t, E)
        mixed = attention.shape.merge(_attend(q, keys, values, bias, attention.dropout, attention.scale))
        x = x + attention.out(mixed)  # (B·W, 1, D)
        out: Tensor = self.feed_forward(self.cross(x, state.memory[index], state.mask))
        return out


class RelativeBias(nn.Module):
    """A learned bias per head and bucket of distance, as in T5.

    Half of the buckets hold one distance each, the others logarithmically growing ranges.
    """

    def __init__(
        self, heads: int, *, bidirectional: bool, buckets: int = 32, max_distance: int = 128
    ) -> None:
        super().__init__()
        self.bidirectional = bidirectional
        self.buckets = buckets
        self.max_distance = max_distance
        self.table = nn.Embedding(buckets, heads)

    def forward(self, queries: int, keys: int) -> Tensor:
        """Return the bias of every pair of positions, (1, H, queries, keys)."""
        device = self.table.weight.device
        distance = (
            torch.arange(keys, device=device)[None] - torch.arange(queries, device=device)[:, None]
        )  # (T, S)
        bias: Tensor = self.table(self._bucket(distance)).permute(2, 0, 1)[None]  # (1, H, T, S)
        return bias

    def _bucket(self, distance: Tensor) -> Tensor:
        buckets = self.buckets
        if self.bidirectional:
            buckets //= 2
            side = (distance > 0).long() * buckets
            distance = distance.abs()
        else:
            side = torch.zeros_like(distance)
            distance = (-distance).clamp(min=0)
        exact = buckets // 2
        growth = torch.log(distance.clamp(min=1) / exact) / torch.log(torch.tensor(self.max_distance / exact))
        far = (exact + (growth * (buckets - exact)).long()).clamp(max=buckets - 1)
        return side + torch.where(distance < exact, distance, far)


def initialize(module: nn.Module) -> None:
    """Draw the initial weights of a linear layer or an embedding; for `nn.Module.apply`."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=module.in_features**-0.5)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.05)
