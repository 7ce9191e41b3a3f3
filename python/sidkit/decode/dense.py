"""Ranking the whole catalogue by the scores of a model that has one for every item."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from sidkit.data import Sequences
from sidkit.decode.ranking import top_k
from sidkit.models import SASRec

__all__ = ["rank_by_sasrec"]


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
        items[rows], scores[rows] = top_k(model.scores(last).numpy(), k, excluded)
        on_progress(start + len(rows))
    return items, scores
