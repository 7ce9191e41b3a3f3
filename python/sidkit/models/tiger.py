"""TIGER: an encoder-decoder transformer that generates the Semantic ID of the next item, token by token.

Rajput et al., "Recommender Systems with Generative Retrieval", NeurIPS 2023 (arXiv 2305.05065). A
bidirectional encoder encodes the tokens of the items of a history; a decoder generates the tokens of the next
item. The blocks are those of T5: pre-normalization without bias, relative position bias, ReLU feed-forward
(Raffel et al., JMLR 2020). There are two differences from T5, neither of which changes what the network can
express: attention logits are scaled by 1/sqrt(d_head), so no special initialization is needed, and each level
has a separate output head, since a token of another level is never valid.

Shapes: B users, n items of history, L tokens an item, S = n·L (+1) encoder positions, W beams a user, D =
d_model, H heads, E = d_head, K_l tokens of level l.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit.models.blocks import KeysValues
from sidkit.models.dropout import ByteDropout
from sidkit.models.token_model import TokenModel, TokenState

__all__ = ["TIGERNetwork", "TIGERState"]


class TIGERNetwork(TokenModel):
    """The encoder-decoder of TIGER over the tokens of Semantic IDs.

    Args:
        sizes: number of tokens of each level, collision token included: `(256, 256, 256, 32)`.
        d_model: width of the residual stream.
        heads: attention heads of `d_head` each; `heads * d_head` need not equal `d_model`.
        d_head: width of a head.
        d_ff: width of the feed-forward layers.
        encoder_layers: layers of the encoder.
        decoder_layers: layers of the decoder.
        dropout: dropout rate on embeddings, attention weights, feed-forward activations and block outputs.
        max_items: most recent items of a history that are encoded; earlier ones are ignored.
        user_buckets: size of the table of hashed user tokens before the history, 0 for none (the paper has
            2,000; open reproductions find no gain).
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        d_model: int = 128,
        heads: int = 6,
        d_head: int = 64,
        d_ff: int = 1024,
        encoder_layers: int = 4,
        decoder_layers: int = 4,
        dropout: float = 0.1,
        max_items: int = 20,
        user_buckets: int = 0,
    ) -> None:
        super().__init__()
        self.settings = {
            "sizes": [int(size) for size in sizes],
            "d_model": d_model,
            "heads": heads,
            "d_head": d_head,
            "d_ff": d_ff,
            "encoder_layers": encoder_layers,
            "decoder_layers": decoder_layers,
            "dropout": dropout,
            "max_items": max_items,
            "user_buckets": user_buckets,
        }
        self.max_items = max_items
        self.user_buckets = user_buckets
        self._add_tokens(sizes, d_model)
        self.user = nn.Embedding(user_buckets, d_model) if user_buckets else None
        self.encoder_bias = _RelativeBias(heads, bidirectional=True)
        self.decoder_bias = _RelativeBias(heads, bidirectional=False)
        encoder = [_EncoderLayer(d_model, heads, d_head, d_ff, dropout) for _ in range(encoder_layers)]
        self.encoder = cast("list[_EncoderLayer]", nn.ModuleList(encoder))
        decoder = [_DecoderLayer(d_model, heads, d_head, d_ff, dropout) for _ in range(decoder_layers)]
        self.decoder = cast("list[_DecoderLayer]", nn.ModuleList(decoder))
        self.encoder_norm = nn.RMSNorm(d_model, eps=1e-6)
        self.decoder_norm = nn.RMSNorm(d_model, eps=1e-6)
        self.dropout = ByteDropout(dropout)
        self._add_outputs()
        self.apply(_initialize)
        nn.init.normal_(self.begin, std=0.05)

    def encode(self, history: Tensor, users: Tensor | None = None, token_masking: float = 0.0) -> Tensor:
        """Encode histories of equal length.

        Args:
            history: tokens of the items, oldest first, int64 (B, n, L); no padding.
            users: user buckets, int64 (B,), needed if the network has user tokens.
            token_masking: share of tokens whose vectors are zero, drawn at every call.

        Returns:
            Memory that the decoder attends to, (B, S, D).
        """
        history = history[:, -self.max_items :]
        x = self._embedded(history, token_masking)  # (B, n·L, D)
        if self.user is not None:
            if users is None:
                raise ValueError("this network has user tokens: pass `users`, one bucket per history")
            x = torch.cat([self.user(users)[:, None], x], dim=1)  # (B, 1 + n·L, D)
        return self.encode_vectors(x)

    def encode_vectors(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Encode histories that are already embedded.

        Args:
            x: one vector per position, (B, S, D).
            mask: added to the attention logits of each position, (B, 1, 1, S): 0, or -inf for padding.

        Returns:
            Memory that the decoder attends to, (B, S, D).
        """
        x = self.dropout(x)
        bias = self.encoder_bias(x.shape[1], x.shape[1])  # (1, H, S, S)
        if mask is not None:
            bias = bias + mask  # (B, H, S, S)
        for layer in self.encoder:
            x = layer(x, bias)  # (B, S, D)
        memory: Tensor = self.dropout(self.encoder_norm(x))
        return memory

    def forward(
        self,
        history: Tensor,
        target: Tensor,
        users: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
        token_masking: float = 0.0,
    ) -> Tensor:
        """Return the cross-entropy of each token of the next item, given the tokens before it.

        Args:
            history: int64 (B, n, L), all of equal length.
            target: tokens of the item that came next, int64 (B, L).
            users: int64 (B,) if the network has user tokens.
            label_smoothing: share of each target that is spread evenly over the tokens of its level.
            token_masking: share of the history's tokens whose vectors are zero, drawn at every call.

        Returns:
            Natural-log losses, f32 (L,): the mean over the batch for each level. Their sum is the loss of an
            item.
        """
        memory = self.encode(history, users, token_masking)
        return self.decode(memory, target, label_smoothing=label_smoothing)

    def decode(
        self, memory: Tensor, target: Tensor, mask: Tensor | None = None, *, label_smoothing: float = 0.0
    ) -> Tensor:
        """Return the losses of `forward` for encoded histories, (B, S, D); `mask` as for `encode_vectors`."""
        before = self.tokens(target[:, :-1] + self.offsets[:-1])  # (B, L-1, D)
        begin = self.begin.expand(len(target), 1, -1).to(before.dtype)
        x = self.dropout(torch.cat([begin, before], dim=1))  # (B, L, D)
        length = x.shape[1]
        future = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        bias = self.decoder_bias(length, length).masked_fill(future, -torch.inf)  # (1, H, L, L)
        for layer in self.decoder:
            x = layer(x, bias, layer.cross.project(memory), mask)  # (B, L, D)
        return self._losses(self.dropout(self.decoder_norm(x)), target, label_smoothing)

    def start(self, history: Tensor, users: Tensor | None = None) -> "TIGERState":
        """Encode histories and prepare to decode, with one beam per user.

        Args:
            history: int64 (B, n, L), all of equal length.
            users: int64 (B,) if the network has user tokens.
        """
        return self.start_from(self.encode(history, users))

    def start_from(self, memory: Tensor, mask: Tensor | None = None) -> "TIGERState":
        """Return the state of `start` for encoded histories, (B, S, D); `mask` as for `encode_vectors`."""
        return TIGERState([layer.cross.project(memory) for layer in self.decoder], len(memory), mask)

    def next_log_probs(self, state: "TIGERState", parents: Tensor | None, tokens: Tensor | None) -> Tensor:
        """Return log-probabilities of the next token for every beam, and advance the state.

        Args:
            state: from `start`, changed in place.
            parents: former row that each row continues, int64 (B·W,); `None` at the first level.
            tokens: last token of each row, int64 (B·W,); `None` at the first level.

        Returns:
            f32 (B·W, K_level), normalized over the whole level.
        """
        level = state.level
        if parents is None or tokens is None:
            x = self.begin.expand(state.users, 1, -1)  # (B, 1, D)
        else:
            state.reorder(parents)
            x = self._token(tokens, level - 1)  # (B·W, 1, D)
        bias = self.decoder_bias(level + 1, level + 1)[:, :, -1:]  # (1, H, 1, level+1): the last query only
        for index, layer in enumerate(self.decoder):
            x = layer.step(x, bias, state, index)  # (B·W, 1, D)
        state.level += 1
        return self._log_probs(self.decoder_norm(x[:, 0]), level)


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


class _EncoderLayer(nn.Module):
    def __init__(self, d_model: int, heads: int, d_head: int, d_ff: int, dropout: float) -> None:
        super().__init__()
        self.attention = _SelfAttention(d_model, heads, d_head, dropout)
        self.feed_forward = _FeedForward(d_model, d_ff, dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        out: Tensor = self.feed_forward(self.attention(x, bias))
        return out


class _DecoderLayer(nn.Module):
    def __init__(self, d_model: int, heads: int, d_head: int, d_ff: int, dropout: float) -> None:
        super().__init__()
        self.attention = _SelfAttention(d_model, heads, d_head, dropout)
        self.cross = _CrossAttention(d_model, heads, d_head, dropout)
        self.feed_forward = _FeedForward(d_model, d_ff, dropout)

    def forward(self, x: Tensor, bias: Tensor, memory: KeysValues, mask: Tensor | None) -> Tensor:
        out: Tensor = self.feed_forward(self.cross(self.attention(x, bias), memory, mask))
        return out

    def step(self, x: Tensor, bias: Tensor, state: TIGERState, index: int) -> Tensor:
        attention = self.attention
        q, k, v = attention.project(x)  # (B·W, H, 1, E)
        keys, values = state.append(index, k, v)  # (B·W, H, t, E)
        mixed = attention.shape.merge(_attend(q, keys, values, bias, attention.dropout, attention.scale))
        x = x + attention.out(mixed)  # (B·W, 1, D)
        out: Tensor = self.feed_forward(self.cross(x, state.memory[index], state.mask))
        return out


class _RelativeBias(nn.Module):
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


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=module.in_features**-0.5)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.05)
