"""Ranking the whole catalogue by the scores of a model that has one for every item."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sidkit.data import Sequences
from sidkit.decode.arguments import check_arguments
from sidkit.decode.generative import device_of
from sidkit.decode.ranking import Ranked, top_k
from sidkit.errors import ConfigError
from sidkit.models import GRU4RecNetwork, RQTransformerNetwork, SASRecNetwork

__all__ = ["rank_by_rqtransformer", "rank_by_scores"]


@torch.inference_mode()
def rank_by_scores(
    model: SASRecNetwork | GRU4RecNetwork,
    histories: Sequences,
    k: int,
    *,
    exclude: Sequences | None = None,
    batch_size: int = 512,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Ranked:
    """The items that a model with a score for each ranks highest after each history.

    Args:
        model: in evaluation mode.
        histories: m rows of item indices, oldest first; an empty one is ranked as if it held only padding.
        k: how many items.
        exclude: m rows of items that must not be returned.
        batch_size: histories at a time.
        on_progress: called with the number of histories done.

    Returns:
        items int32 (m, k) padded with -1, and their inner products f32 (m, k) padded with -inf.

    Raises:
        ConfigError: if `k` or `batch_size` is below 1.
        DataError: if a history names an unknown item, or `exclude` is not one row a history.
    """

    def scores(padded: Tensor, lengths: Tensor) -> Tensor:
        ends = (lengths - 1).clamp(min=0)
        return model.scores(model.hidden(padded)[torch.arange(len(padded), device=padded.device), ends])

    device = device_of(model)
    return _rank(scores, histories, model.max_items, model.items, k, exclude, batch_size, on_progress, device)


@torch.inference_mode()
def rank_by_rqtransformer(
    model: RQTransformerNetwork,
    histories: Sequences,
    k: int,
    *,
    by: Literal["sid", "dense", "fused"] = "sid",
    sid_share: float | None = None,
    exclude: Sequences | None = None,
    batch_size: int = 256,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Ranked:
    """The items that an RQTransformer ranks highest after each history, all of them scored.

    By `sid` this is what `beam_search` finds with a beam that is wide enough: the model without the error of
    the search.

    Args:
        model: in evaluation mode.
        histories: m rows of item indices, oldest first; an empty one is ranked by what is likely first.
        k: how many items.
        by: the probability of the Semantic ID, that of the softmax over all items, or a mixture of both
            logarithms.
        sid_share: the weight of the first in the mixture, from 0 to 1; what validation chose if not given.
        exclude: m rows of items that must not be returned.
        batch_size: histories at a time.
        on_progress: called with the number of histories done.

    Returns:
        items int32 (m, k) padded with -1, and their natural-log probabilities (for `fused` the mixture) f32
        (m, k) padded with -inf.

    Raises:
        ConfigError: if `by` is none of the three, the model has no dense head and `by` needs it, `sid_share`
            is outside [0, 1], or `k` or `batch_size` is below 1.
        DataError: if a history names an unknown item, or `exclude` is not one row a history.
    """
    if by not in ("sid", "dense", "fused"):
        raise ConfigError(f"`by` must be `sid`, `dense` or `fused`, not `{by}`")
    if by != "sid" and not model.dense:
        raise ConfigError(f"this model was trained without `dense`, so it cannot rank by `{by}`; use `sid`")
    share = model.sid_share if sid_share is None else sid_share
    if not 0 <= share <= 1:
        raise ConfigError(f"`sid_share` must be from 0 to 1, not {share}")

    def scores(padded: Tensor, lengths: Tensor) -> Tensor:
        hidden, prefixes, items = model.last_hidden(padded, lengths)
        if by == "sid":
            return model.item_log_probs(hidden, prefixes)
        dense = F.linear(hidden, items).log_softmax(-1)
        if by == "dense":
            return dense
        return torch.lerp(dense, model.item_log_probs(hidden, prefixes), share)

    device = device_of(model)
    return _rank(scores, histories, model.max_items, model.items, k, exclude, batch_size, on_progress, device)


def _rank(
    scores: Callable[[Tensor, Tensor], Tensor],
    histories: Sequences,
    max_items: int,
    padding: int,
    k: int,
    exclude: Sequences | None,
    batch_size: int,
    on_progress: Callable[[int], None],
    device: torch.device,
) -> Ranked:
    """Rank by what `scores` gives for histories (B, T), padded on the right, and their lengths (B,)."""
    check_arguments(histories, padding, k=k, batch_size=batch_size, exclude=exclude)
    recent = histories.tail(max_items)
    items = np.empty((len(recent), k), np.int32)
    best = np.empty((len(recent), k), np.float32)
    order = np.argsort(recent.lengths, kind="stable")  # similar lengths together: little padding
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = recent.take(rows)
        width = max(int(batch.lengths.max()), 1)
        padded = np.full((len(rows), width), padding, np.int64)
        padded[np.arange(width) < batch.lengths[:, None]] = batch.values
        known, lengths = torch.from_numpy(padded).to(device), torch.from_numpy(batch.lengths).to(device)
        found = scores(known, lengths).cpu()  # (B, N)
        excluded = exclude.take(rows) if exclude is not None else None
        items[rows], best[rows] = top_k(found.numpy(), k, excluded)
        on_progress(start + len(rows))
    return items, best
