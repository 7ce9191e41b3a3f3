"""Ranking of the whole catalogue by networks that score every item."""

from collections.abc import Callable
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sidkit.data import Sequences
from sidkit.decode.generative import device_of
from sidkit.decode.options import RankOptions, check_arguments, check_rows
from sidkit.decode.ranking import Ranked, top_k
from sidkit.errors import ConfigError
from sidkit.models import RQTransformerNetwork

__all__ = ["ScoringNetwork", "rank_by_rqtransformer", "rank_by_scores"]

_SCORING_BATCH, _RQ_BATCH = 512, 256  # histories


class ScoringNetwork(Protocol):
    """A network that scores all items after each position of a history, such as SASRec's.

    Attributes:
        items: number of items, and the row that stands for padding.
        max_items: number of items of a history that are encoded.
    """

    items: int
    max_items: int

    def hidden(self, history: Tensor) -> Tensor:
        """Encode histories int64 (B, T), padded on the right with `items`, as vectors (B, T, D)."""
        ...

    def scores(self, hidden: Tensor) -> Tensor:
        """Score all items for vectors (P, D), (P, N)."""
        ...


@torch.inference_mode()
def rank_by_scores(
    network: ScoringNetwork, histories: Sequences, k: int, *, options: RankOptions | None = None
) -> Ranked:
    """Return the items with the highest scores after each history.

    Args:
        network: a scoring network in evaluation mode.
        histories: m rows of item rows, oldest first; an empty one is encoded as padding.
        k: number of items.
        options: filters and batch size (512 by default).

    Returns:
        items int32 (m, k) padded with -1, and their inner products f32 (m, k) padded with -inf.

    Raises:
        ConfigError: if `k` or the batch size is below 1.
        DataError: if a history holds an unknown item, or a filter has not one row per history.
    """

    def scores(padded: Tensor, lengths: Tensor) -> Tensor:
        ends = (lengths - 1).clamp(min=0)
        rows = torch.arange(len(padded), device=padded.device)
        return network.scores(network.hidden(padded)[rows, ends])

    return _rank(scores, network, histories, k, options or RankOptions(), _SCORING_BATCH)


@torch.inference_mode()
def rank_by_rqtransformer(
    network: RQTransformerNetwork,
    histories: Sequences,
    k: int,
    *,
    by: Literal["sid", "dense", "fused"] = "sid",
    sid_share: float | None = None,
    options: RankOptions | None = None,
) -> Ranked:
    """Return the items with the highest scores of an RQTransformer after each history, all items scored.

    By `sid`, this is the result of `beam_search` with a beam that is wide enough: the model without search
    error.

    Args:
        network: in evaluation mode.
        histories: m rows of item rows, oldest first; an empty one is encoded as padding.
        k: number of items.
        by: the probability of the Semantic ID, that of the softmax over all items, or a mixture of both
            logarithms.
        sid_share: weight of the Semantic ID in the mixture, from 0 to 1; None for the one that validation
            chose.
        options: filters and batch size (256 by default).

    Returns:
        items int32 (m, k) padded with -1, and their natural-log probabilities (for `fused` the mixture) f32
        (m, k) padded with -inf.

    Raises:
        ConfigError: if `by` is unknown or needs a dense head that the network does not have, `sid_share` is
            outside [0, 1], or `k` or the batch size is below 1.
        DataError: if a history holds an unknown item, or a filter has not one row per history.
    """
    if by not in ("sid", "dense", "fused"):
        raise ConfigError(f"`by` must be `sid`, `dense` or `fused`, got `{by}`")
    if by != "sid" and not network.dense:
        raise ConfigError(f"this model was trained without `dense` and cannot rank by `{by}`. Use `sid`.")
    share = network.sid_share if sid_share is None else sid_share
    if not 0 <= share <= 1:
        raise ConfigError(f"`sid_share` must be from 0 to 1, got {share}")

    def scores(padded: Tensor, lengths: Tensor) -> Tensor:
        hidden, prefixes, items = network.last_hidden(padded, lengths)
        if by == "sid":
            return network.item_log_probs(hidden, prefixes)
        dense = F.linear(hidden, items).log_softmax(-1)
        if by == "dense":
            return dense
        return torch.lerp(dense, network.item_log_probs(hidden, prefixes), share)

    return _rank(scores, network, histories, k, options or RankOptions(), _RQ_BATCH)


def _rank(
    scores: Callable[[Tensor, Tensor], Tensor],
    network: ScoringNetwork | RQTransformerNetwork,
    histories: Sequences,
    k: int,
    options: RankOptions,
    default_batch: int,
) -> Ranked:
    """Rank by `scores` of histories (B, T), padded on the right, and their lengths (B,)."""
    batch_size = default_batch if options.batch_size is None else options.batch_size
    check_arguments(histories, network.items, k=k, batch_size=batch_size)
    allow, shared = options.allow, options.allow is not None and len(options.allow) == 1
    check_rows(len(histories), exclude=options.exclude, allow=None if shared else allow)
    recent, device = histories.tail(network.max_items), device_of(network)
    items = np.empty((len(recent), k), np.int32)
    best = np.empty((len(recent), k), np.float32)
    order = np.argsort(recent.lengths, kind="stable")  # similar lengths together: little padding
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = recent.take(rows)
        width = max(int(batch.lengths.max()), 1)
        padded = np.full((len(rows), width), network.items, np.int64)
        padded[np.arange(width) < batch.lengths[:, None]] = batch.values
        history, lengths = torch.from_numpy(padded).to(device), torch.from_numpy(batch.lengths).to(device)
        found = scores(history, lengths).cpu()  # (B, N)
        excluded = None if options.exclude is None else options.exclude.take(rows)
        allowed = allow if allow is None or shared else allow.take(rows)
        items[rows], best[rows] = top_k(found.numpy(), k, excluded, allowed)
        options.on_progress(start + len(rows))
    return items, best
