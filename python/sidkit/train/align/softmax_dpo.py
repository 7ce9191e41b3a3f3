"""Objective over one preferred item and several others: S-DPO."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from sidkit.train.align.group import Group
from sidkit.train.align.options import AlignmentMethod

__all__ = ["SoftmaxDPO"]


@dataclass(frozen=True, kw_only=True, repr=False)
class SoftmaxDPO(AlignmentMethod):
    """Softmax-DPO, with several items that are not preferred (Chen et al., NeurIPS 2024, arXiv 2406.09215).

    The loss is the cross-entropy of the preferred item under the softmax, over the group, of beta times the
    log-ratios of policy and reference. With one item that is not preferred, it is that of `DPO`. With a
    reward, the preferred item is distributed as in a Plackett-Luce model, the softmax of the rewards, and the
    loss is the expectation over it.

    Example:
        >>> method = SoftmaxDPO(group_size=8)
        >>> aligned = model.align(split.train, reward=reward, method=method, validation=split.validation)
    """

    method: ClassVar[str] = "sdpo"

    def losses(self, group: Group, beta: float) -> Tensor:
        """Return the loss of each history, float (B,)."""
        logits = (beta * group.log_ratios).masked_fill(~group.valid, -torch.inf)
        own = torch.where(group.valid, logits.log_softmax(-1), 0.0)
        several = group.valid.sum(-1) > 1
        return torch.where(several, -(group.preferences() * own).sum(-1), 0.0)
