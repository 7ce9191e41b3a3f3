"""What models share that read and write Semantic IDs token by token.

Shapes: B users, T items, L tokens an item, R rows, W beams a user, D = d_model, K_l tokens of level l; H
heads, E their width, S positions of a history.
"""

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit.models.blocks import KeysValues

__all__ = ["TokenModel", "TokenState"]


class TokenModel(nn.Module):
    """A model with one table of vectors for all tokens, and an output head for each level.

    A token of another level is never valid, so the heads are apart. A kind calls `_add_tokens` and
    `_add_outputs` where its layers between them begin and end.
    """

    inputs: Literal["tokens", "items"] = "tokens"
    offsets: Tensor  # first row of each level in the table, int64 (L,)

    def _add_tokens(self, sizes: Sequence[int], d_model: int) -> None:
        self.sizes = tuple(int(size) for size in sizes)
        offsets = torch.tensor([0, *self.sizes[:-1]]).cumsum(0)
        self.register_buffer("offsets", offsets, persistent=False)
        self.tokens = nn.Embedding(sum(self.sizes), d_model)
        self.begin = nn.Parameter(torch.empty(d_model))  # what is read before the first token

    def _add_outputs(self) -> None:
        outputs = [nn.Linear(self.begin.numel(), size, bias=False) for size in self.sizes]
        self.outputs = cast("list[nn.Linear]", nn.ModuleList(outputs))

    def _spelled(self, items: Tensor, hide: float = 0.0) -> Tensor:
        """The vectors of the tokens of items, int64 (B, T, L), one after the other: (B, T·L, D).

        Each is zero with probability `hide`.
        """
        vectors: Tensor = self.tokens((items + self.offsets).flatten(1))
        if hide:
            # Drawn where dropout is, so that a training goes on from its checkpoint on any device.
            covered = torch.rand(vectors.shape[:2]) < hide
            vectors = vectors.masked_fill(covered.to(vectors.device)[..., None], 0.0)
        return vectors

    def _token(self, tokens: Tensor, level: int) -> Tensor:
        """The vectors of tokens of one level, int64 (R,), each a position of its own: (R, 1, D)."""
        vectors: Tensor = self.tokens(tokens + self.offsets[level])[:, None]
        return vectors

    def _losses(self, h: Tensor, wanted: Tensor, smoothing: float) -> Tensor:
        """The mean cross-entropy of each level, f32 (L,), of vectors (R, L, D) and tokens, int64 (R, L)."""
        losses = [
            F.cross_entropy(head(h[:, level]).float(), wanted[:, level], label_smoothing=smoothing)
            for level, head in enumerate(self.outputs)
        ]
        return torch.stack(losses)

    def _log_probs(self, h: Tensor, level: int) -> Tensor:
        """Log-probabilities of the tokens of one level, f32 (R, K), of vectors (R, D)."""
        logits: Tensor = self.outputs[level](h).float()
        return logits.log_softmax(-1)


class TokenState:
    """What decoding keeps between tokens.

    Attributes:
        memory: keys and values of the history for each layer, (B, H, S, E); never copied for a beam.
        written: those of the written tokens for each layer, (B·W, H, t, E); none before the first.
        level: the level whose token comes next.
    """

    def __init__(self, memory: list[KeysValues]) -> None:
        self.memory = memory
        self.written: list[KeysValues] = []
        self.level = 0

    def reorder(self, parents: Tensor) -> None:
        """Let row i continue former row `parents[i]`."""
        self.written = [(keys[parents], values[parents]) for keys, values in self.written]
