"""DecoderOnly: one causal transformer over the tokens of a history, which writes those of the next item.

A history is one sequence of tokens and the next item its continuation, as in a language model: what HSTU does
with actions (Zhai et al., ICML 2024, arXiv 2402.17152) and OneRec with Semantic IDs (Deng et al., 2025, arXiv
2502.18965). Every position is trained in one pass, where an encoder-decoder reads a history anew for each of
its prefixes. The first position stands for nothing, so that the first item of a history is foretold too.

    begin  d_11 d_12 .. d_1L  d_21 ..           read
    d_11   d_12 ..      d_21  d_22 ..           foretold

Shapes: B users, T items, n items of history, L tokens an item, S = 1 + n·L positions, W beams a user, D =
d_model, K_l tokens of level l.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from sidkit.errors import ConfigError
from sidkit.models.blocks import CausalBlock, KeysValues, Turns, turns
from sidkit.models.dropout import ByteDropout
from sidkit.models.token_model import TokenModel, TokenState

__all__ = ["DecoderOnlyNetwork", "DecoderOnlyState"]


class DecoderOnlyNetwork(TokenModel):
    """A language model of Semantic IDs.

    A position's input is the vector of its token; places are rotary, so that a history may be longer than any
    in training.

    Args:
        sizes: how many tokens each level has, collision token included: `(256, 256, 256, 32)`.
        d_model: width of the residual stream.
        layers: transformer blocks.
        heads: attention heads; must divide `d_model` into even parts.
        dropout: rate on inputs and in the blocks.
        max_items: the most recent items of a history that are read; earlier ones are ignored.

    Raises:
        ConfigError: if `heads` does not divide `d_model` into even parts.
    """

    kind = "decoderonly"
    user_buckets = 0

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        d_model: int = 128,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.1,
        max_items: int = 50,
    ) -> None:
        super().__init__()
        if d_model % (2 * heads):
            raise ConfigError(
                f"`heads` must divide `d_model` into even parts, but {d_model} is not so divided by {heads}"
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
        """The cross-entropy of every token of every item, given all tokens before it.

        Args:
            events: tokens of the items of histories, oldest first, int64 (B, T, L);
                any tokens where there is no item, which must be on the right.
            real: where there is an item, bool (B, T).
            label_smoothing: the share of each target that is spread evenly over the tokens of its level.
            token_masking: the share of the tokens read whose vectors are zero, a fresh draw at every call.

        Returns:
            Natural-log losses, f32 (L,): the mean over all items for each level. Their sum is the loss of an
            item.
        """
        x = self.dropout(
            self._sequence(events, token_masking)[:, :-1]
        )  # (B, T·L, D): nothing follows the last token
        at = self._turns(0, x.shape[1])
        for block in self.blocks:
            x = block(x, at)  # (B, T·L, D)
        h = self.norm(x).unflatten(1, events.shape[1:])[real]  # (P, L, D), P real items
        return self._losses(h, events[real], label_smoothing)

    def start(self, history: Tensor, users: Tensor | None = None) -> "DecoderOnlyState":
        """Read histories once and prepare to decode: one beam a user, nothing written yet.

        Args:
            history: tokens of the items, oldest first, int64 (B, n, L), all of equal length.
            users: not used.
        """
        history = history[:, -self.max_items :]
        x = self._sequence(history)  # (B, S, D)
        at = self._turns(0, x.shape[1])
        memory = []
        for block in self.blocks:
            x, seen = block.read(x, at)  # (B, S, D)
            memory.append(seen)
        return DecoderOnlyState(memory, x[:, -1:])

    def next_log_probs(
        self, state: "DecoderOnlyState", parents: Tensor | None, tokens: Tensor | None
    ) -> Tensor:
        """Log-probabilities of the next token for every beam, and one more step of the state.

        Args:
            state: from `start`, changed in place.
            parents: which former row each row continues, int64 (B·W,); `None` at the first level.
            tokens: the token each row has just been given, int64 (B·W,); `None` at the first level.

        Returns:
            f32 (B·W, K_level), normalized over the whole level.
        """
        level = state.level
        if parents is None or tokens is None:
            x = state.last  # (B, 1, D): the end of the history foretells the first token
        else:
            x = self._token(tokens, level - 1)  # (B·W, 1, D)
            at = self._turns(state.length + level - 1, 1)
            state.reorder(parents)
            before: Sequence[KeysValues | None] = state.written or [None] * len(self.blocks)
            state.written = []
            for block, memory, written in zip(self.blocks, state.memory, before, strict=True):
                x, now = block.step(x, memory, written, at)  # (B·W, 1, D)
                state.written.append(now)
        state.level += 1
        return self._log_probs(self.norm(x[:, 0]), level)

    def _sequence(self, items: Tensor, hide: float = 0.0) -> Tensor:
        """The beginning and the tokens of items (B, T, L) one after the other, as inputs (B, 1 + T·L, D)."""
        begin = self.begin.expand(len(items), 1, -1)
        return torch.cat([begin, self._spelled(items, hide)], dim=1)

    def _turns(self, first: int, positions: int) -> Turns:
        return turns(first, positions, self.begin.numel() // self.blocks[0].heads, self.begin.device)


class DecoderOnlyState(TokenState):
    """What decoding keeps between tokens.

    Attributes:
        memory, written, level: as of every `TokenState`.
        last: the vector at the end of each history, (B, 1, D).
        length: how many positions the histories have, S.
    """

    def __init__(self, memory: list[KeysValues], last: Tensor) -> None:
        super().__init__(memory)
        self.last = last
        self.length = memory[0][0].shape[2]
