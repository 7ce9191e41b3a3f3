"""Objective over rewards of sampled items: GRPO."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from sidkit._settings import Fraction
from sidkit.train.align.group import Group, expectation_weights
from sidkit.train.align.options import AlignmentMethod

__all__ = ["GRPO"]


@dataclass(frozen=True, kw_only=True, repr=False)
class GRPO(AlignmentMethod):
    """Group relative policy optimization (Shao et al., 2024, arXiv 2402.03300).

    Maximizes the expected reward minus beta times the divergence KL(policy ‖ reference). The advantage of an
    item is its reward minus the mean of its group. Items are drawn without replacement, and all means are
    weighted so that they are those of the distribution (`expectation_weights`). The divergence is exact where
    the model scores all items, and estimated from the group otherwise.

    The rewards of a group are not divided by their standard deviation by default: with this, the best policy
    is no longer the reference times exp(reward / beta), since histories with even rewards count as much as
    others.

    Example:
        >>> aligned = model.align(split.train, reward=reward, method=GRPO(), validation=split.validation)
    """

    method: ClassVar[str] = "grpo"
    on_policy: ClassVar[bool] = True

    expectation: Literal["sampled", "top"] = "sampled"
    """Estimate of the expected reward: from sampled items, or exactly over the `group_size` most probable
    items, which leaves the others as they are."""
    clip: Fraction = 0.2
    """The probability ratio of an item counts from 1 - clip to 1 + clip, which limits the change for which a
    group is used."""
    updates_per_group: Annotated[int, Field(ge=1, le=64)] = 1
    """Optimizer steps for which a group is used."""
    normalize: bool = False
    """Divide the advantages of a group by their standard deviation, as in the paper."""

    @property
    def updates(self) -> int:
        """Optimizer steps for which a group is used."""
        return self.updates_per_group

    def losses(self, group: Group, beta: float) -> Tensor:
        """Return the loss of each history, float (B,)."""
        assert group.rewards is not None
        if self.expectation == "top":
            weights = torch.where(group.valid, group.drawn.exp(), 0.0)
            shares = weights / weights.sum(-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
        else:
            weights = shares = expectation_weights(group.drawn, group.valid)
        rewards = torch.where(group.valid, group.rewards, 0.0)
        advantages = rewards - (shares * rewards).sum(-1, keepdim=True)
        if self.normalize:
            deviation = (shares * advantages.square()).sum(-1, keepdim=True).sqrt()
            advantages = advantages / (deviation + 1e-6)
        ratio = torch.where(group.valid, group.log_probs - group.drawn, 0.0).exp()
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
        gain = (weights * torch.minimum(ratio * advantages, clipped * advantages)).sum(-1)
        return beta * divergence(group, weights, ratio) - gain


def divergence(group: Group, weights: Tensor, ratio: Tensor) -> Tensor:
    """Return KL(policy ‖ reference) of each history, float (B,), or a term whose gradient estimates its.

    Args:
        group: the items.
        weights: weights of expectations under the policy from which the items were drawn, float (B, G).
        ratio: probabilities of the policy relative to that one, float (B, G).
    """
    if group.kl is not None:
        return group.kl
    # The gradient of the square is that of the divergence: the expectation of log-ratio times score.
    return (weights * ratio.detach() * group.log_ratios.square()).sum(-1) / 2
