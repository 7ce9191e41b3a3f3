"""Budgets that an aligned policy must keep, and the warning when it does not."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sidkit._params import Parameters
from sidkit._settings import Fraction, Positive, check_arguments

__all__ = ["Budget", "RewardHackingWarning"]


class RewardHackingWarning(UserWarning):
    """The reward rises while accuracy falls: the policy exploits the reward."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Budget(Parameters):
    """Limits on what alignment may change.

    The policy with the highest reward inside the limits is kept, of all that were evaluated. The initial one
    is among them.

    Raises:
        ConfigError: if a limit is out of range.
    """

    kl: Positive | None = 0.5
    """Largest divergence KL(policy ‖ reference), natural log, the mean over validation; None for no limit."""
    ndcg_loss: Fraction | None = 0.02
    """Largest loss of validation NDCG@10 relative to the reference; None for no limit. Without validation, it
    is not checked."""

    def __post_init__(self) -> None:
        check_arguments(self)

    def score(self, metrics: Mapping[str, float], reference: Mapping[str, float]) -> float:
        """Return the reward of a policy inside the budget, minus infinity for one outside.

        Args:
            metrics: those of the policy: `reward`, `kl` and, with validation, `ndcg@10`.
            reference: those of the reference.
        """
        return metrics["reward"] if self.keeps(metrics, reference) else -math.inf

    def keeps(self, metrics: Mapping[str, float], reference: Mapping[str, float]) -> bool:
        """Return whether a policy is inside the budget; arguments as for `score`."""
        near = self.kl is None or metrics["kl"] <= self.kl
        return near and not self.loses(metrics, reference)

    def loses(self, metrics: Mapping[str, float], reference: Mapping[str, float]) -> bool:
        """Return whether a policy loses more accuracy than the budget permits."""
        if self.ndcg_loss is None or "ndcg@10" not in metrics:
            return False
        return metrics["ndcg@10"] < (1 - self.ndcg_loss) * reference["ndcg@10"]
