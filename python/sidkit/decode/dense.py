"""Ranking the whole catalogue by one score an item."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sidkit.data import Sequences
from sidkit.models import SASRec

__all__ = ["rank_by_sasrec", "top_items"]


def top_items(
    scores: Tensor, k: int, exclude: Sequences | None = None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The best items of each row, exactly: by score, the lower item index first on a tie.

    Args:
        scores: f32 (m, items); changed in place where items are excluded.
        k: how many.
        exclude: m rows of item indices that must not be returned.

    Returns:
        items int32 (m, k) and scores f32 (m, k); padded with -1 and -inf where fewer than `k` are left.
    """
    if exclude is not None:
        rows = torch.from_numpy(np.repeat(np.arange(len(exclude)), exclude.lengths))
        scores[rows, torch.from_numpy(exclude.values.astype(np.int64))] = -torch.inf
    # One more than asked shows whether equal scores straddle the cut; there `topk` may pick any of them.
    kept = min(k + 1, scores.shape[1])
    values, items = scores.topk(kept, dim=1)
    if kept > k:
        for row in torch.nonzero(values[:, k - 1] == values[:, k]).flatten().tolist():
            values[row], items[row] = _best_of_row(scores[row], kept)
    values, items = values[:, :k], items[:, :k]
    order = np.lexsort((items.numpy(), -values.numpy()), axis=1)
    ranked = np.full((len(scores), k), -1, np.int32)
    best = np.full((len(scores), k), -np.inf, np.float32)
    best[:, : order.shape[1]] = np.take_along_axis(values.numpy(), order, 1)
    ranked[:, : order.shape[1]] = np.take_along_axis(items.numpy(), order, 1)
    ranked[best == -np.inf] = -1
    return ranked, best


def _best_of_row(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    order = torch.sort(scores, descending=True, stable=True).indices[:k]
    return scores[order], order


@torch.inference_mode()
def rank_by_sasrec(
    model: SASRec,
    histories: Sequences,
    k: int,
    *,
    exclude: Sequences | None = None,
    batch_size: int = 512,
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The items that SASRec ranks highest after each history.

    Args:
        model: in evaluation mode.
        histories: m rows of item indices, oldest first; an empty one is ranked as if it held only padding.
        k: how many items.
        exclude: m rows of items that must not be returned.
        batch_size: histories at a time.
        on_progress: called with the number of histories done.

    Returns:
        items int32 (m, k) padded with -1, and their inner products f32 (m, k) padded with -inf.
    """
    recent = histories.tail(model.max_items)
    items = np.empty((len(histories), k), np.int32)
    scores = np.empty((len(histories), k), np.float32)
    order = np.argsort(recent.lengths, kind="stable")  # similar lengths together: little padding
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = recent.take(rows)
        ends = torch.from_numpy(np.maximum(batch.lengths - 1, 0))
        width = max(int(batch.lengths.max()), 1)
        padded = np.full((len(rows), width), model.items, np.int64)
        padded[np.arange(width) < batch.lengths[:, None]] = batch.values
        last = model.hidden(torch.from_numpy(padded))[torch.arange(len(rows)), ends]  # (B, D)
        excluded = exclude.take(rows) if exclude is not None else None
        items[rows], scores[rows] = top_items(model.scores(last).float(), k, excluded)
        on_progress(start + len(rows))
    return items, scores
