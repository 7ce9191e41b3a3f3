"""DecoderOnly: one causal transformer over the tokens of a history, which generates those of the next item.

A history is one sequence of tokens and the next item is its continuation, as in a language model, in HSTU
(Zhai et al., ICML 2024, arXiv 2402.17152) and in OneRec (Deng et al., 2025, arXiv 2502.18965). All positions
are trained in one pass, whereas an encoder-decoder encodes every prefix of a history separately. The first
position is a learned vector, so the first item of a history is a target too.

    begin  d_11 d_12 .. d_1L  d_21 ..           input
    d_11   d_12 ..      d_21  d_22 ..           target

Shapes: B users, T items, n items of history, L tokens an item, S = 1 + n·L positions, W beams a user, D =
d_model, K_l tokens of level l.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from sidkit._settings import Depth, Fraction, Width
from sidkit.errors import ConfigError
from sidkit.models.layers.blocks import CausalBlock, KeysValues, Rotations, rotations
from sidkit.models.layers.dropout import ByteDropout
from sidkit.models.token_model import TokenModel, TokenState

__all__ = ["DecoderOnlyNetwork", "DecoderOnlyState"]


class DecoderOnlyNetwork(TokenModel):
    """A language model of Semantic IDs.

    The input of a position is the vector of its token. Positions are rotary, so a history may be longer than
    any in training.

    Args:
        sizes: number of tokens of each level, collision token included: `(256, 256, 256, 32)`.
        d_model: width of the residual stream.
        layers: transformer blocks.
        heads: attention heads; must divide `d_model` into even parts.
        dropout: dropout rate on inputs and in the blocks.
        max_items: most recent items of a history that are encoded; earlier ones are ignored.

    Raises:
        ConfigError: if `heads` does not divide `d_model` into even parts.
    """

    user_buckets = 0

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        d_model: Width = 128,
        layers: Depth = 4,
        heads: Width = 4,
        dropout: Fraction = 0.1,
        max_items: Width = 50,
    ) -> None:
        super().__init__()
        if d_model % (2 * heads):
            raise ConfigError(
                f"`d_model` must be an even multiple of `heads`, got {d_model} with {heads} heads"
            )
        self.settings = {
            "sizes": [int(size) for size in sizes],
            "d_model": d_model,
            "layers": layers,
            "heads": heads,
            "dropout": dropout,
            "max_items": max_items,
        }
        self.max_items = max_items
        self._add_tokens(sizes, d_model)
        blocks = [CausalBlock(d_model, heads, dropout) for _ in range(layers)]
        self.blocks = cast("list[CausalBlock]", nn.ModuleList(blocks))
        self.norm = nn.LayerNorm(d_model)
        self.dropout = ByteDropout(dropout)
        self._add_outputs()
        for weight in (self.tokens.weight, self.begin):
            nn.init.normal_(weight, std=0.02)

    def forward(
        self,
        events: Tensor,
        real: Tensor,
        *,
        label_smoothing: float = 0.0,
        token_masking: float = 0.0,
    ) -> Tensor:
        """Return the cross-entropy of every token of every item, given all tokens before it.

        Args:
            events: tokens of the items of histories, oldest first, int64 (B, T, L);
                any tokens where there is no item, which must be on the right.
            real: whether there is an item, bool (B, T).
            label_smoothing: share of each target that is spread evenly over the tokens of its level.
            token_masking: share of the input tokens whose vectors are zero, drawn at every call.

        Returns:
            Natural-log losses, f32 (L,): the mean over all items for each level. Their sum is the loss of an
            item.
        """
        x = self.dropout(
            self._sequence(events, token_masking)[:, :-1]
        )  # (B, T·L, D): nothing follows the last token
        at = self._rotations(0, x.shape[1])
        for block in self.blocks:
            x = block(x, at)  # (B, T·L, D)
        h = self.norm(x).unflatten(1, events.shape[1:])[real]  # (P, L, D), P real items
        return self._losses(h, events[real], label_smoothing)

    def start(self, history: Tensor, users: Tensor | None = None) -> "DecoderOnlyState":
        """Encode histories and prepare to decode, with one beam per user.

        Args:
            history: tokens of the items, oldest first, int64 (B, n, L), all of equal length.
            users: not used.
        """
        history = history[:, -self.max_items :]
        x = self._sequence(history)  # (B, S, D)
        at = self._rotations(0, x.shape[1])
        memory = []
        for block in self.blocks:
            x, cache = block.forward_with_cache(x, at)  # (B, S, D)
            memory.append(cache)
        return DecoderOnlyState(memory, x[:, -1:])

    def next_log_probs(
        self, state: "DecoderOnlyState", parents: Tensor | None, tokens: Tensor | None
    ) -> Tensor:
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
            x = state.last  # (B, 1, D): the end of the history predicts the first token
        else:
            x = self._token(tokens, level - 1)  # (B·W, 1, D)
            at = self._rotations(state.length + level - 1, 1)
            state.reorder(parents)
            before: Sequence[KeysValues | None] = state.generated or [None] * len(self.blocks)
            state.generated = []
            for block, memory, generated in zip(self.blocks, state.memory, before, strict=True):
                x, now = block.step(x, memory, generated, at)  # (B·W, 1, D)
                state.generated.append(now)
        state.level += 1
        return self._log_probs(self.norm(x[:, 0]), level)

    def _sequence(self, items: Tensor, masking: float = 0.0) -> Tensor:
        """Return the inputs (B, 1 + T·L, D): the begin vector, and the tokens of items (B, T, L)."""
        begin = self.begin.expand(len(items), 1, -1)
        return torch.cat([begin, self._embedded(items, masking)], dim=1)

    def _rotations(self, first: int, positions: int) -> Rotations:
        return rotations(first, positions, self.begin.numel() // self.blocks[0].heads, self.begin.device)


class DecoderOnlyState(TokenState):
    """Incremental decoding state.

    Attributes:
        memory, generated, level: see `TokenState`.
        last: vector at the end of each history, (B, 1, D).
        length: number of positions of the histories, S.
    """

    def __init__(self, memory: list[KeysValues], last: Tensor) -> None:
        super().__init__(memory)
        self.last = last
        self.length = memory[0][0].shape[2]
