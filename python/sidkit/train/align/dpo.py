"""Objectives over pairs of items: DPO and IPO."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from sidkit.train.align.group import Group
from sidkit.train.align.options import AlignmentMethod

__all__ = ["DPO", "IPO"]


@dataclass(frozen=True, kw_only=True, repr=False)
class DPO(AlignmentMethod):
    """Direct preference optimization (Rafailov et al., NeurIPS 2023, arXiv 2305.18290).

    The loss of a pair is -log sigmoid(beta * h), where h is the log-ratio of policy and reference of the
    preferred item minus that of the other. With a reward, the items that the reference draws after a history
    are paired by rank, the best with the worst, and each pair has both labels with their probabilities under
    Bradley-Terry, whose log-odds are the difference of the rewards.

    Example:
        >>> aligned = model.align(split.train, reward=reward, method=DPO(), validation=split.validation)
    """

    method: ClassVar[str] = "dpo"

    def losses(self, group: Group, beta: float) -> Tensor:
        """Return the loss of each history, float (B,), the mean over its pairs."""
        margins, preferred, real = _pairs(group)
        losses = -preferred * F.logsigmoid(beta * margins) - (1 - preferred) * F.logsigmoid(-beta * margins)
        return _mean(losses, real)


@dataclass(frozen=True, kw_only=True, repr=False)
class IPO(AlignmentMethod):
    """Identity preference optimization (Azar et al., AISTATS 2024, arXiv 2310.12036).

    The margin h of `DPO` is regressed on (p - 1/2) / beta, where p is the probability that the first item is
    the preferred one, so that pairs without noise do not drive the policy to extremes.
    """

    method: ClassVar[str] = "ipo"
    beta_scale: ClassVar[float] = 0.25  # slope of p in the difference of the rewards, at 0

    def losses(self, group: Group, beta: float) -> Tensor:
        """Return the loss of each history, float (B,), the mean over its pairs."""
        margins, preferred, real = _pairs(group)
        return _mean((margins - (preferred - 0.5) / beta).square(), real)


def _pairs(group: Group) -> tuple[Tensor, Tensor, Tensor]:
    """Pair the items of each group by preference: best and worst, second best and second worst, and so on.

    Returns:
        Margins h, float (B, P), the probability that the first item of the pair is preferred, and whether
        there is a pair.
    """
    chances = group.preferences()
    count = group.valid.sum(-1, keepdim=True)  # (B, 1)
    order = torch.where(group.valid, chances, -1.0).argsort(stable=True, dim=-1, descending=True)
    place = torch.arange(group.valid.shape[-1] // 2, device=order.device)  # (P,)
    real = place < count // 2  # (B, P)
    first = order[:, : len(place)]
    second = order.gather(-1, (count - 1 - place).clamp(min=0))
    ratios = group.log_ratios
    one, other = chances.gather(-1, first), chances.gather(-1, second)
    preferred = one / (one + other).clamp(min=torch.finfo(one.dtype).tiny)
    return ratios.gather(-1, first) - ratios.gather(-1, second), preferred, real


def _mean(losses: Tensor, real: Tensor) -> Tensor:
    return torch.where(real, losses, 0.0).sum(-1) / real.sum(-1).clamp(min=1)
