"""Base of networks that encode and generate Semantic IDs token by token.

Shapes: B users, T items, L tokens an item, R rows, W beams a user, D = d_model, K_l tokens of level l; H
heads, E their width, S positions of a history.
"""

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit.models.layers.blocks import KeysValues

__all__ = ["TokenModel", "TokenState"]


class TokenModel(nn.Module):
    """A network with one embedding table for all tokens, and one output head per level.

    A token of another level is never valid, so the heads are separate. A subclass calls `_add_tokens` before
    and `_add_outputs` after it creates its layers.
    """

    inputs: Literal["tokens", "items"] = "tokens"
    offsets: Tensor  # first row of each level in the table, int64 (L,)

    def _add_tokens(self, sizes: Sequence[int], d_model: int) -> None:
        self.sizes = tuple(int(size) for size in sizes)
        offsets = torch.tensor([0, *self.sizes[:-1]]).cumsum(0)
        self.register_buffer("offsets", offsets, persistent=False)
        self.tokens = nn.Embedding(sum(self.sizes), d_model)
        self.begin = nn.Parameter(torch.empty(d_model))  # input before the first token

    def _add_outputs(self) -> None:
        outputs = [nn.Linear(self.begin.numel(), size, bias=False) for size in self.sizes]
        self.outputs = cast("list[nn.Linear]", nn.ModuleList(outputs))

    def _embedded(self, items: Tensor, masking: float = 0.0) -> Tensor:
        """Return the vectors of the tokens of items, int64 (B, T, L), one after the other: (B, T·L, D).

        Each is zero with probability `masking`.
        """
        vectors: Tensor = self.tokens((items + self.offsets).flatten(1))
        if masking:
            # Drawn on the CPU, as dropout is, so that a training continues from its checkpoint on any device.
            masked = torch.rand(vectors.shape[:2]) < masking
            vectors = vectors.masked_fill(masked.to(vectors.device)[..., None], 0.0)
        return vectors

    def _token(self, tokens: Tensor, level: int) -> Tensor:
        """Return the vectors of tokens of one level, int64 (R,), as one position each: (R, 1, D)."""
        vectors: Tensor = self.tokens(tokens + self.offsets[level])[:, None]
        return vectors

    def _losses(self, h: Tensor, target: Tensor, smoothing: float) -> Tensor:
        """Return the mean cross-entropy per level, f32 (L,), of vectors (R, L, D) and tokens (R, L)."""
        losses = [
            F.cross_entropy(head(h[:, level]).float(), target[:, level], label_smoothing=smoothing)
            for level, head in enumerate(self.outputs)
        ]
        return torch.stack(losses)

    def _log_probs(self, h: Tensor, level: int) -> Tensor:
        """Return log-probabilities of the tokens of one level, f32 (R, K), of vectors (R, D)."""
        logits: Tensor = self.outputs[level](h).float()
        return logits.log_softmax(-1)


class TokenState:
    """Incremental decoding state.

    Attributes:
        memory: keys and values of the history for each layer, (B, H, S, E); never copied for a beam.
        generated: keys and values of the generated tokens for each layer, (B·W, H, t, E); empty before the
            first.
        level: level of the next token.
    """

    def __init__(self, memory: list[KeysValues]) -> None:
        self.memory = memory
        self.generated: list[KeysValues] = []
        self.level = 0

    def reorder(self, parents: Tensor) -> None:
        """Let row i continue the former row `parents[i]`."""
        self.generated = [(keys[parents], values[parents]) for keys, values in self.generated]
