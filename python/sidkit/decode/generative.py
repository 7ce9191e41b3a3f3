"""What a search asks of a model that writes Semantic IDs."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from sidkit.errors import ConfigError

__all__ = ["GenerativeModel", "State", "device_of", "temperatures"]

State = TypeVar("State")


class GenerativeModel(Protocol[State]):
    """A model that writes Semantic IDs token by token.

    `TIGER`, `ActionPieceTIGER`, `RQTransformer` and `DecoderOnly` do.

    Attributes:
        sizes: how many tokens each level has.
        reads: whether it is given the tokens of a history, or its items.
        max_items: how many items of a history it reads.
        user_buckets: size of its table of user tokens, 0 for none.
    """

    sizes: tuple[int, ...]
    reads: str
    max_items: int
    user_buckets: int

    def start(self, history: Tensor, users: Tensor | None = None) -> State:
        """Read histories of equal length, tokens int64 (B, n, L) or items int64 (B, n)."""
        ...

    def next_log_probs(self, state: State, parents: Tensor | None, tokens: Tensor | None) -> Tensor:
        """Log-probabilities f32 (rows, K_level), once row i is former row `parents[i]` plus `tokens[i]`."""
        ...


def device_of(model: object) -> torch.device:
    """Where a model is; the CPU if it has no weights."""
    weights = model.parameters() if isinstance(model, torch.nn.Module) else iter(())
    return next((weight.device for weight in weights), torch.device("cpu"))


def temperatures(temperature: float | Sequence[float], levels: int) -> list[float]:
    """One temperature a level, from one for all or a sequence of them.

    Raises:
        ConfigError: if there is not one for each level, or one is not a positive number.
    """
    each = [temperature] * levels if isinstance(temperature, (int, float, np.number)) else list(temperature)
    if len(each) != levels or not all(0 < value < float("inf") for value in each):
        raise ConfigError(
            f"`temperature` is {temperature}; it is a positive number, or one for each of {levels} levels"
        )
    return [float(value) for value in each]
