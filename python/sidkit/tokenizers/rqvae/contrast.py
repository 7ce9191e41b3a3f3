"""The contrastive loss of which LETTER's and CoST's are made."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["contrast"]


def contrast(queries: Tensor, keys: Tensor, same: Tensor | None = None) -> Tensor:
    """InfoNCE within a batch (van den Oord et al., 2018), a scalar: each query is to find the key of its row.

        -1/B sum_i log( exp(q_i . k_i) / sum_j exp(q_i . k_j) )

    Args:
        queries: float32 (batch, width).
        keys: float32 (batch, width).
        same: bool (batch, batch), pairs of rows that are no negatives of each other, since their keys are of
            the same thing; the diagonal does not matter.
    """
    scores = queries @ keys.T  # (batch, batch)
    if same is not None:
        off_diagonal = ~torch.eye(len(scores), dtype=torch.bool)
        scores = scores.masked_fill(same & off_diagonal, -torch.inf)
    return F.cross_entropy(scores, torch.arange(len(scores)))
