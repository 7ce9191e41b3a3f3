"""Semantic IDs on the way: the model's side of a search."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from sidkit.decode.generative import GenerativeModel, State

__all__ = ["Writing"]


class Writing:
    """What a generator writes after a batch of histories, a row for every beam of each.

    `log_probs` and `extend` take turns, a token each.

    Args:
        model: the generator.
        state: what its `start` made of the histories.
    """

    def __init__(self, model: GenerativeModel[State], state: State) -> None:
        self._next = partial(model.next_log_probs, state)
        self._parents: torch.Tensor | None = None
        self._tokens: torch.Tensor | None = None
        self._device = torch.device("cpu")

    def log_probs(self, temperature: float) -> NDArray[np.float32]:
        """Log-probabilities of each row's next token, float32 (rows, K_level).

        With a temperature, their ratios are raised to the power of 1 / temperature, normalized over the row.
        """
        plain = self._next(self._parents, self._tokens)
        self._device = plain.device
        cooled = plain if temperature == 1.0 else (plain / temperature).log_softmax(-1)
        found: NDArray[np.float32] = cooled.cpu().numpy()
        return found

    def extend(self, parents: NDArray[np.int64], tokens: NDArray[np.int64]) -> None:
        """Let row i continue former row `parents[i]` with `tokens[i]`, both int64 (rows,)."""
        self._parents = torch.from_numpy(parents).to(self._device)
        self._tokens = torch.from_numpy(tokens).to(self._device)
