"""Reductions over groups of rows, and the losses and statistics made of them."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["group_log_sums", "group_means", "smoothed_cross_entropy", "standardized"]


def smoothed_cross_entropy(logits: Tensor, goal: Tensor, smoothing: float) -> Tensor:
    """Return the summed cross-entropy of rows, label-smoothed over the logits that are not -inf."""
    if not smoothing:
        return F.cross_entropy(logits, goal, reduction="sum")
    gone = logits.isneginf()
    log_probs = logits.log_softmax(-1).masked_fill(gone, 0.0)
    evenly = log_probs.sum(-1) / (~gone).sum(-1)
    chosen = log_probs.gather(-1, goal[:, None])[:, 0]
    return -((1 - smoothing) * chosen + smoothing * evenly).sum()


def standardized(vectors: Tensor) -> Tensor:
    """Standardize every dimension, and scale rows to about unit length."""
    centred = vectors - vectors.mean(0)
    deviation = centred.std(0, unbiased=False)
    # A constant dimension becomes zero.
    deviation[deviation < 1e-6] = torch.inf
    scaled: Tensor = centred / deviation / vectors.shape[1] ** 0.5
    return scaled


def group_means(rows: Tensor, group: Tensor, groups: int) -> Tensor:
    """Return the mean of the rows of each group, (groups, D)."""
    sums = rows.new_zeros(groups, rows.shape[1]).index_add(0, group, rows)
    return sums / torch.bincount(group, minlength=groups)[:, None]


def group_log_sums(scores: Tensor, groups: Tensor) -> Tensor:
    """Return the log-sum-exp of every group of siblings, (groups, B).

    Args:
        scores: scores of one group after the other, f32 (R, B).
        groups: number of rows of each group, at least one, int64 (groups,).
    """
    most: Tensor = torch.segment_reduce(scores, "max", lengths=groups, axis=0)
    row = torch.repeat_interleave(torch.arange(len(groups), device=groups.device), groups)
    raised = (scores - most.index_select(0, row)).exp_()
    sums: Tensor = torch.segment_reduce(raised, "sum", lengths=groups, axis=0)
    return most + sums.log()
