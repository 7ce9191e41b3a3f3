"""Items that were drawn after each history, with what an objective needs to know about them.

Shapes: B histories, G items of a group.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Group", "expectation_weights"]

# Grid of log t: the error of the sum falls as exp(-pi² / step).
_FIRST, _STEP, _POINTS = -12.0, 0.35, 110
_LEAST_MASS = 1e-9
_TINY = 1e-300


@dataclass(frozen=True)
class Group:
    """Groups of items after a batch of histories.

    All log-probabilities are natural, and those of items among the items that may be recommended.

    Attributes:
        log_probs: of the policy that is trained, float (B, G), with gradients.
        reference: of the frozen reference, float (B, G).
        drawn: of the policy from which the items were drawn, float (B, G).
        valid: false for padding, where fewer items exist, bool (B, G).
        rewards: reward of each item, float (B, G); None for preferences that were given.
        preferred: probability of each item to be the preferred one of its group, float (B, G), rows sum to 1;
            None for rewards.
        kl: exact divergence KL(policy ‖ reference) of each history, float (B,), with gradients; None where
            the policy cannot score all items.
    """

    log_probs: Tensor
    reference: Tensor
    drawn: Tensor
    valid: Tensor
    rewards: Tensor | None = None
    preferred: Tensor | None = None
    kl: Tensor | None = None

    @property
    def log_ratios(self) -> Tensor:
        """Log-ratio of policy and reference, float (B, G), 0 for padding."""
        return torch.where(self.valid, self.log_probs - self.reference, 0.0)

    def preferences(self) -> Tensor:
        """Return the probability of each item to be the preferred one, float (B, G).

        Rewards are the log-odds of a Plackett-Luce model (of Bradley-Terry for two items): the probability is
        the softmax of the rewards over the group.
        """
        if self.preferred is not None:
            return self.preferred
        assert self.rewards is not None
        return self.rewards.masked_fill(~self.valid, -torch.inf).softmax(-1)


def expectation_weights(log_probs: Tensor, valid: Tensor) -> Tensor:
    """Return weights with which a sample without replacement estimates expectations without bias.

    The estimator of Murthy (Sankhyā 18, 1957; Kool, van Hoof and Welling, ICLR 2020, arXiv 2002.06043): the
    weight of an item is its probability to have been drawn first, given the set that was drawn. Weights sum
    to 1, and equal the probabilities if the group is all there is.

    With independent exponential clocks of rates p, the set S is drawn if all of its clocks ring before any
    other, so that its probability is the integral over t of prod(1 - exp(-p_i t)) c exp(-c t), where c is the
    remaining mass. Without the factor of item i, it is that of the others to follow i. Both integrals are
    sums over a grid of log t, which is accurate to ten decimals.

    Args:
        log_probs: natural-log probabilities of the items of each group, float (B, G).
        valid: false for padding, bool (B, G).

    Returns:
        float of the dtype of `log_probs`, (B, G), 0 for padding.
    """
    chances = torch.where(valid, log_probs.double().exp(), 0.0)  # (B, G)
    left = (1 - chances.sum(-1, keepdim=True)).clamp(min=_LEAST_MASS)  # (B, 1)
    steps = torch.arange(_POINTS, device=chances.device, dtype=torch.float64)
    t = (_FIRST + _STEP * steps).exp()  # (T,)
    rung = torch.where(valid[..., None], (-torch.expm1(-chances[..., None] * t)).clamp(min=_TINY).log(), 0.0)
    others = (left * t).log() - left * t + rung.sum(1)  # (B, T), all clocks of the group
    without = (others[:, None] - rung).logsumexp(-1)  # (B, G)
    weights = torch.where(valid, chances.log() + without, -torch.inf)
    some = valid.any(-1, keepdim=True)
    shares = torch.where(some, weights, 0.0).softmax(-1)
    return torch.where(valid, shares, 0.0).to(log_probs.dtype)
