"""TIGER: an encoder-decoder transformer that generates the Semantic ID of the next item, token by token.

Rajput et al., "Recommender Systems with Generative Retrieval", NeurIPS 2023 (arXiv 2305.05065). A
bidirectional encoder encodes the tokens of the items of a history; a decoder generates the tokens of the next
item. With `encoder="block_causal"`, an item is encoded from the items up to and including itself, so that one
pass over a history serves all of its targets.

The blocks are those of T5: pre-normalization without bias, relative position bias, ReLU feed-forward (Raffel
et al., JMLR 2020). There are two differences from T5, neither of which changes what the network can
express: attention logits are scaled by 1/sqrt(d_head), so no special initialization is needed, and each level
has a separate output head, since a token of another level is never valid.

Shapes: B users, n items of history, L tokens an item, S = n·L (+1) encoder positions, W beams a user, D =
d_model, H heads, E = d_head, K_l tokens of level l, T items of a history that are followed by a target.
"""

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit._arguments import Size
from sidkit._settings import Depth, Fraction, Width
from sidkit.errors import ConfigError
from sidkit.models.layers.dropout import ByteDropout
from sidkit.models.tiger_layers import DecoderLayer, EncoderLayer, RelativeBias, TIGERState, initialize
from sidkit.models.token_model import TokenModel

__all__ = ["TIGERNetwork", "TIGERState"]

_NO_TARGET = -100  # ignored by `cross_entropy`


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
        encoder: attention mask of the encoder. `bidirectional`: every position attends to all others, as in
            the paper, and each prefix of a history is encoded separately in training. `block_causal`: the
            tokens of an item attend to those of the same and of earlier items, so that `sequence_losses`
            trains all prefixes of a history in one pass.

    Raises:
        ConfigError: if `encoder` is neither of the two.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        d_model: Width = 128,
        heads: Width = 6,
        d_head: Width = 64,
        d_ff: Width = 1024,
        encoder_layers: Depth = 4,
        decoder_layers: Depth = 4,
        dropout: Fraction = 0.1,
        max_items: Width = 20,
        user_buckets: Size = 0,
        encoder: Literal["bidirectional", "block_causal"] = "bidirectional",
    ) -> None:
        super().__init__()
        if encoder not in ("bidirectional", "block_causal"):
            raise ConfigError(
                f"unknown encoder mask: expected `bidirectional` or `block_causal`, got {encoder!r}. Set "
                "`encoder` to one of the two."
            )
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
            "encoder": encoder,
        }
        self.block_causal = encoder == "block_causal"
        self.max_items = max_items
        self.user_buckets = user_buckets
        self._add_tokens(sizes, d_model)
        self.user = nn.Embedding(user_buckets, d_model) if user_buckets else None
        self.encoder_bias = RelativeBias(heads, bidirectional=True)
        self.decoder_bias = RelativeBias(heads, bidirectional=False)
        layer_sizes = (d_model, heads, d_head, d_ff, dropout)
        encoders = nn.ModuleList(EncoderLayer(*layer_sizes) for _ in range(encoder_layers))
        self.encoder = cast("list[EncoderLayer]", encoders)
        decoders = nn.ModuleList(DecoderLayer(*layer_sizes) for _ in range(decoder_layers))
        self.decoder = cast("list[DecoderLayer]", decoders)
        self.encoder_norm = nn.RMSNorm(d_model, eps=1e-6)
        self.decoder_norm = nn.RMSNorm(d_model, eps=1e-6)
        self.dropout = ByteDropout(dropout)
        self._add_outputs()
        self.apply(initialize)
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
        mask = self._block_mask(history.shape[1]) if self.block_causal else None
        return self.encode_vectors(self._inputs(history, users, token_masking), mask)

    def _inputs(self, history: Tensor, users: Tensor | None, token_masking: float) -> Tensor:
        """Embed histories, int64 (B, n, L): (B, S, D)."""
        x = self._embedded(history, token_masking)  # (B, n·L, D)
        if self.user is not None:
            if users is None:
                raise ValueError("this network has user tokens: pass `users`, one bucket per history")
            x = torch.cat([self.user(users)[:, None], x], dim=1)  # (B, 1 + n·L, D)
        return x

    def _block_mask(self, items: int, segments: Tensor | None = None) -> Tensor:
        """Return the block-causal mask, f32 (1 or B, 1, S, S): -inf where attention is not allowed, else 0.

        Args:
            items: n, of a history.
            segments: see `sequence_losses`.
        """
        levels = len(self.sizes)
        item = torch.arange(items * levels, device=self.begin.device) // levels
        if self.user is not None:
            item = F.pad(item, (1, 0), value=-1)  # every item attends to the user token
        forbidden = (item > item[:, None])[None]  # (1, S, S)
        if segments is not None:
            segment = segments[..., None].expand(-1, -1, levels).flatten(1)  # (B, S)
            forbidden = forbidden | (segment[:, None] != segment[:, :, None])  # (B, S, S)
        allowed = torch.zeros(forbidden.shape, device=forbidden.device)
        return allowed.masked_fill(forbidden, -torch.inf)[:, None]

    def encode_vectors(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Encode histories that are already embedded.

        Args:
            x: one vector per position, (B, S, D).
            mask: added to the attention logits, 0 or -inf: (B, 1, 1, S) to mask padding, or
                (1 or B, 1, S, S) with one mask per position.

        Returns:
            Memory that the decoder attends to, (B, S, D).
        """
        x = self.dropout(x)
        bias = self.encoder_bias(x.shape[1], x.shape[1])  # (1, H, S, S)
        if mask is not None:
            bias = bias + mask  # (1 or B, H, S, S)
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

    def sequence_losses(
        self,
        history: Tensor,
        target: Tensor,
        real: Tensor,
        users: Tensor | None = None,
        *,
        segments: Tensor | None = None,
        label_smoothing: float = 0.0,
        token_masking: float = 0.0,
    ) -> Tensor:
        """Return the mean cross-entropy over all prefixes of each history, which is encoded once.

        Without dropout and token masking, the losses equal those of `forward` for every prefix: the decoder
        of the item after the first `t` items attends to these items only.

        Args:
            history: tokens of the items, oldest first, int64 (B, T, L), padded on the right with any tokens.
            target: tokens of the item that follows each item of the history, int64 (B, T, L).
            real: true where such an item exists, bool (B, T).
            users: user buckets, int64 (B,), if the network has user tokens.
            segments: index of the history of each item within its row, int64 (B, T), for rows that hold
                several histories; items attend only to items with the same index. Not with user tokens.
            label_smoothing: as for `forward`.
            token_masking: as for `forward`; drawn once for all targets of a history.

        Returns:
            Natural-log losses, f32 (L,): the mean over all real targets for each level.

        Raises:
            ConfigError: if the encoder is bidirectional, or `segments` are given with user tokens.
            ValueError: if a history has more than `max_items` items.
        """
        if not self.block_causal:
            raise ConfigError(
                "one pass over all prefixes needs a block-causal encoder: expected "
                '`encoder="block_causal"`, got `bidirectional`. Make the network with it, or call the '
                "network for each prefix."
            )
        if history.shape[1] > self.max_items:
            raise ValueError(
                f"histories are too long: expected at most {self.max_items} items, got {history.shape[1]}. "
                "Cut them into windows, as `SequenceBatches` does."
            )
        if segments is not None and self.user is not None:
            raise ConfigError(
                "packed histories cannot have user tokens: expected `user_buckets` = 0, got "
                f"{self.user_buckets}. Pass one history per row, without `segments`."
            )
        mask = self._block_mask(history.shape[1], segments)
        memory = self.encode_vectors(self._inputs(history, users, token_masking), mask)
        across = mask[:, :, int(self.user is not None) :]  # (1 or B, 1, T·L, S)
        labels = target.masked_fill(~real[..., None], _NO_TARGET)
        return self.decode(
            memory, target.flatten(0, 1), across, labels.flatten(0, 1), label_smoothing=label_smoothing
        )

    def decode(
        self,
        memory: Tensor,
        target: Tensor,
        mask: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Return the losses of `forward` for encoded histories.

        Args:
            memory: (B, S, D).
            target: tokens of the targets, int64 (B·T, L): all targets of the first history, then those of the
                second, and so on.
            mask: added to the logits of the attention to the memory, 0 or -inf, (1 or B, 1, 1 or T·L, S).
            labels: `target` with -100 for tokens without a loss; None for `target`.
            label_smoothing: as for `forward`.

        Returns:
            Natural-log losses, f32 (L,).
        """
        before = self.tokens(target[:, :-1] + self.offsets[:-1])  # (B·T, L-1, D)
        begin = self.begin.expand(len(target), 1, -1).to(before.dtype)
        x = self.dropout(torch.cat([begin, before], dim=1))  # (B·T, L, D)
        length = x.shape[1]
        future = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        bias = self.decoder_bias(length, length).masked_fill(future, -torch.inf)  # (1, H, L, L)
        for layer in self.decoder:
            x = layer(x, bias, layer.cross.project(memory), mask)  # (B·T, L, D)
        h = self.dropout(self.decoder_norm(x))  # (B·T, L, D)
        return self._losses(h, target if labels is None else labels, label_smoothing)

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
