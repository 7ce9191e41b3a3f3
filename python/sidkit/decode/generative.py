"""Interface of a generative network, as searches use it."""

from typing import Literal, Protocol, TypeVar

import torch
from torch import Tensor

__all__ = ["GenerativeNetwork", "State", "device_of"]

State = TypeVar("State")


class GenerativeNetwork(Protocol[State]):
    """A network that generates Semantic IDs token by token.

    Attributes:
        sizes: number of tokens of each level.
        inputs: encoding of a history: the tokens of its items, or its item rows.
        max_items: number of items of a history that are encoded.
        user_buckets: size of the table of user tokens, 0 for none.
    """

    sizes: tuple[int, ...]
    inputs: Literal["tokens", "items"]
    max_items: int
    user_buckets: int

    def start(self, history: Tensor, users: Tensor | None = None) -> State:
        """Encode histories of equal length: tokens int64 (B, n, L) or item rows int64 (B, n)."""
        ...

    def next_log_probs(self, state: State, parents: Tensor | None, tokens: Tensor | None) -> Tensor:
        """Return log-probabilities f32 (rows, K_level), row i continuing row `parents[i]` by `tokens[i]`."""
        ...


def device_of(network: object) -> torch.device:
    """Return the device of a network; the CPU if it has no weights."""
    weights = network.parameters() if isinstance(network, torch.nn.Module) else iter(())
    return next((weight.device for weight in weights), torch.device("cpu"))
