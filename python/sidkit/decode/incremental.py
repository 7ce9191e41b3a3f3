"""Incremental decoding state: the network's side of a search."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from sidkit.decode.generative import GenerativeNetwork, State

__all__ = ["IncrementalDecoder"]


class IncrementalDecoder:
    """Log-probabilities of the next tokens after a batch of histories, one row per beam.

    `log_probs` and `extend` are called in turn, once per level.

    Args:
        network: a generative network.
        state: the result of its `start` for the histories.
    """

    def __init__(self, network: GenerativeNetwork[State], state: State) -> None:
        self._next = partial(network.next_log_probs, state)
        self._parents: torch.Tensor | None = None
        self._tokens: torch.Tensor | None = None
        self._device = torch.device("cpu")

    def log_probs(self, temperature: float) -> NDArray[np.float32]:
        """Return the log-probabilities of each row's next token, float32 (rows, K_level).

        With a temperature, probabilities are raised to the power of 1 / temperature and normalized per row.
        """
        plain = self._next(self._parents, self._tokens)
        self._device = plain.device
        cooled = plain if temperature == 1.0 else (plain / temperature).log_softmax(-1)
        found: NDArray[np.float32] = cooled.cpu().numpy()
        return found

    def extend(self, parents: NDArray[np.int64], tokens: NDArray[np.int64]) -> None:
        """Let row i continue the former row `parents[i]` with `tokens[i]`, both int64 (rows,)."""
        self._parents = torch.from_numpy(parents).to(self._device)
        self._tokens = torch.from_numpy(tokens).to(self._device)
