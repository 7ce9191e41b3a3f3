"""Contrastive loss of LETTER and CoST."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["contrast"]


def contrast(queries: Tensor, keys: Tensor, same: Tensor | None = None) -> Tensor:
    """Compute InfoNCE within a batch (van den Oord et al., 2018), a scalar; keys of other rows are negatives.

        -1/B sum_i log( exp(q_i . k_i) / sum_j exp(q_i . k_j) )

    Args:
        queries: float32 (batch, width).
        keys: float32 (batch, width).
        same: bool (batch, batch), pairs of rows with equal keys, which are not negatives of each other; the
            diagonal is ignored.
    """
    scores = queries @ keys.T  # (batch, batch)
    if same is not None:
        off_diagonal = ~torch.eye(len(scores), dtype=torch.bool)
        scores = scores.masked_fill(same & off_diagonal, -torch.inf)
    return F.cross_entropy(scores, torch.arange(len(scores)))
