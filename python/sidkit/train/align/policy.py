"""Interface of a policy: a distribution over the items after a history."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from sidkit.train.align.prompts import Prompts

__all__ = ["Drawn", "Policy"]


@dataclass(frozen=True)
class Drawn:
    """Items after a batch of histories.

    Attributes:
        items: item rows, int64 (B, G), padded with -1.
        log_probs: their natural-log probabilities, float (B, G) without gradients, -inf for padding.
    """

    items: npt.NDArray[np.int64]
    log_probs: Tensor


class Policy(Protocol):
    """Distribution of a network over the items that may be recommended after a history.

    The networks are arguments, since policy and reference differ in nothing else. They are in evaluation
    mode. Item probabilities sum to 1 after each history.
    """

    def log_probs(
        self, network: Any, prompts: Prompts, items: npt.NDArray[np.int64]
    ) -> tuple[Tensor, Tensor | None]:
        """Return log-probabilities of items.

        Args:
            network: the network.
            prompts: B histories.
            items: item rows, int64 (B, G), padded with -1.

        Returns:
            Those of `items`, float (B, G), any number for padding; and those of all items, float (B, items),
            -inf for items that may not be recommended, or None where the network cannot score all of them.
        """
        ...

    def sample(self, network: Any, prompts: Prompts, k: int, seed: int) -> Drawn:
        """Draw k different items after each history, without replacement."""
        ...

    def best(self, network: Any, prompts: Prompts, k: int) -> Drawn:
        """Return the k items that are recommended after each history, best first."""
        ...
