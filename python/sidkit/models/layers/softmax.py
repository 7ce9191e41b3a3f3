"""Cross-entropy of a large softmax, without the matrix of all its scores.

The scores of P positions and N items are computed in blocks of positions, and each block becomes its own
gradient in place, in the forward pass: one exponential and three matrix products per score, and the memory of
one block. The autograd of `torch.nn.functional.cross_entropy` keeps all scores and makes several passes over
them (the idea of fused linear cross-entropy: Hsu et al., "Liger Kernel", arXiv 2410.10989).

Shapes: P positions, D dimensions, N items or columns of a sample.
"""

from typing import Any

import torch
from torch import Tensor

__all__ = ["softmax_loss"]

# Scores of a block: 16 MB in f32.
_BLOCK_SCORES = 4_000_000


def softmax_loss(
    hidden: Tensor,
    items: Tensor,
    target: Tensor,
    *,
    offset: Tensor | None = None,
    positive: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the summed cross-entropy of targets under a softmax of inner products.

    Args:
        hidden: vector at each position, (P, D).
        items: vector of each column, (N, D).
        target: column of the item that followed each position, int64 (P,); with `positive`, -1 where it is
            not among the columns.
        offset: added to the scores of each column, f32 (N,); None for zeros.
        positive: score of each target, f32 (P,), if the columns are a sample of items: the target then counts
            by this score and its own column, if there is one, is left out. None if the columns are all items.
        label_smoothing: share of each target that is spread evenly over the columns; not used with
            `positive`.

    Returns:
        f32 scalar, natural log, with gradients of `hidden`, `items`, `offset` and `positive`.
    """
    loss: Tensor = _SoftmaxLoss.apply(hidden, items, target, offset, positive, label_smoothing)
    return loss


class _SoftmaxLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        items: Tensor,
        target: Tensor,
        offset: Tensor | None,
        positive: Tensor | None,
        smoothing: float,
    ) -> Tensor:
        kind = hidden.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
        columns, x = items.to(dtype), hidden.to(dtype)
        wanted = any(ctx.needs_input_grad)
        d_hidden = torch.empty_like(hidden, dtype=torch.float32) if wanted else None
        d_items = torch.zeros_like(items, dtype=torch.float32) if wanted else None
        d_offset = torch.zeros_like(offset) if wanted and offset is not None else None
        d_positive = torch.empty_like(positive) if wanted and positive is not None else None
        total = hidden.new_zeros((), dtype=torch.float32)
        step = max(1, _BLOCK_SCORES // max(len(items), 1))
        with torch.autocast(kind, enabled=False):
            for start in range(0, len(hidden), step):
                rows = slice(start, start + step)
                own = None if positive is None else positive[rows].float()
                scores = (x[rows] @ columns.T).float()  # (p, N)
                if offset is not None:
                    scores += offset
                loss, own_share = _to_gradient(scores, target[rows], own, smoothing)
                total += loss
                if d_hidden is None or d_items is None:
                    continue
                gradient = scores.to(dtype)
                d_hidden[rows] = gradient @ columns
                if dtype == torch.float32:
                    d_items.addmm_(gradient.T, x[rows])
                else:
                    d_items += gradient.T @ x[rows]
                if d_offset is not None:
                    d_offset += scores.sum(0)
                if d_positive is not None and own_share is not None:
                    d_positive[rows] = own_share - 1
        ctx.save_for_backward(d_hidden, d_items, d_offset, d_positive)
        ctx.dtypes = hidden.dtype, items.dtype
        return total

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        scaled: list[Any] = [None if part is None else part * upstream for part in ctx.saved_tensors]
        d_hidden, d_items, d_offset, d_positive = scaled
        first, second = ctx.dtypes
        return d_hidden.to(first), d_items.to(second), None, d_offset, d_positive, None


def _to_gradient(
    scores: Tensor, target: Tensor, own: Tensor | None, smoothing: float
) -> tuple[Tensor, Tensor | None]:
    """Turn the scores of a block (p, N) into the gradient of its summed loss, in place.

    Returns:
        The summed loss; and with `own`, the probability of each target, (p,).
    """
    if own is not None:
        hit = (target >= 0).nonzero()[:, 0]
        scores[hit, target[hit]] = -torch.inf
        most = torch.maximum(scores.amax(1), own)
        sums = scores.sub_(most[:, None]).exp_().sum(1) + (own - most).exp()
        scores /= sums[:, None]
        log_sums = most + sums.log()
        return (log_sums - own).sum(), (own - log_sums).exp()
    rows = torch.arange(len(scores), device=scores.device)
    chosen = scores[rows, target]
    if smoothing:
        chosen = (1 - smoothing) * chosen + smoothing * scores.mean(1)
    most = scores.amax(1)
    sums = scores.sub_(most[:, None]).exp_().sum(1)
    scores /= sums[:, None]
    if smoothing:
        scores -= smoothing / scores.shape[1]
    scores[rows, target] -= 1 - smoothing
    return (most + sums.log() - chosen).sum(), None
