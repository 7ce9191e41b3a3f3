"""Strength of the penalty at which the best policy has a given divergence from the reference."""

import math

import torch
from torch import Tensor

from sidkit.train.align.group import expectation_weights

__all__ = ["beta_for"]

_LOW, _HIGH = 1e-4, 1e4  # in units of the standard deviation of the rewards
_STEPS = 60


def beta_for(kl: float, rewards: Tensor, log_probs: Tensor, valid: Tensor) -> float:
    """Return the beta at which KL(policy ‖ reference) is `kl` for the best policy, estimated from samples.

    The policy with the greatest reward at a divergence is the reference times exp(reward / beta). Its
    divergence falls with beta, which is found by bisection.

    Args:
        kl: mean divergence over the histories, natural log, above 0.
        rewards: rewards of items drawn from the reference without replacement, float (B, G).
        log_probs: their log-probabilities under the reference float (B, G).
        valid: false for padding, bool (B, G).

    Returns:
        A number in the unit of the rewards; the least one that is tried, if no policy diverges so much.
    """
    weights = expectation_weights(log_probs.double(), valid)
    values = torch.where(valid, rewards.double(), 0.0)
    centred = values - (weights * values).sum(-1, keepdim=True)
    scale = float((weights * centred.square()).sum(-1).mean().sqrt()) or 1.0

    def divergence(beta: float) -> float:
        logits = (centred / beta + weights.log()).masked_fill(~valid | (weights <= 0), -torch.inf)
        tilted = logits.softmax(-1)
        terms = torch.where(tilted > 0, tilted * (logits.log_softmax(-1) - weights.log()), 0.0)
        return float(terms.sum(-1).mean())

    low, high = math.log(_LOW * scale), math.log(_HIGH * scale)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if divergence(math.exp(middle)) > kl else (low, middle)
    return math.exp(high)
