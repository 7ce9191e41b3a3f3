"""Ranking of the whole catalogue by networks that score every item."""

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sidkit._arguments import Count, checked
from sidkit.data import Sequences
from sidkit.decode.generative import device_of
from sidkit.decode.options import RankOptions, check_arguments, check_rows
from sidkit.decode.ranking import Ranked, top_k

__all__ = ["ScoringNetwork", "rank_by_scores", "score_items"]

_BATCH = 512  # histories


class ScoringNetwork(Protocol):
    """A network that scores all items after a history, such as SASRec's.

    Attributes:
        items: number of items, and the row that stands for padding.
        max_items: number of items of a history that are encoded.
    """

    items: int
    max_items: Count

    def item_scores(self, history: Tensor, lengths: Tensor) -> Tensor:
        """Score all items after histories.

        Args:
            history: item rows, int64 (B, T), padded on the right with `items`.
            lengths: length of each history, int64 (B,); an empty one is encoded as padding.

        Returns:
            f32 (B, N).
        """
        ...


@checked
@torch.inference_mode()
def rank_by_scores(
    network: ScoringNetwork, histories: Sequences, k: Count, *, options: RankOptions | None = None
) -> Ranked:
    """Return the items with the highest scores after each history.

    Args:
        network: a scoring network in evaluation mode.
        histories: m rows of item rows, oldest first; an empty one is encoded as padding.
        k: number of items.
        options: filters and batch size (512 by default).

    Returns:
        items int32 (m, k) padded with -1, and their scores f32 (m, k) padded with -inf.

    Raises:
        ConfigError: if `k` or the batch size is below 1.
        DataError: if a history holds an unknown item, or a filter has not one row per history.
    """
    options = options or RankOptions()
    batch_size = _BATCH if options.batch_size is None else options.batch_size
    check_arguments(histories, network.items, k=k, batch_size=batch_size)
    allow, shared = options.allow, options.allow is not None and len(options.allow) == 1
    check_rows(len(histories), exclude=options.exclude, allow=None if shared else allow)
    recent = histories.tail(network.max_items)
    items = np.empty((len(recent), k), np.int32)
    best = np.empty((len(recent), k), np.float32)
    order = np.argsort(recent.lengths, kind="stable")  # similar lengths together: little padding
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        found = score_items(network, recent.take(rows))  # (B, N)
        excluded = None if options.exclude is None else options.exclude.take(rows)
        allowed = allow if allow is None or shared else allow.take(rows)
        items[rows], best[rows] = top_k(found, k, excluded, allowed)
        options.on_progress(start + len(rows))
    return items, best


@torch.inference_mode()
def score_items(network: ScoringNetwork, histories: Sequences) -> npt.NDArray[np.float32]:
    """Return the scores of all items after each history, f32 (m, N).

    Args:
        network: a scoring network in evaluation mode.
        histories: m rows of item rows, oldest first.
    """
    recent, device = histories.tail(network.max_items), device_of(network)
    padded = np.full((len(recent), max(int(recent.lengths.max(initial=0)), 1)), network.items, np.int64)
    padded[np.arange(padded.shape[1]) < recent.lengths[:, None]] = recent.values
    lengths = torch.from_numpy(recent.lengths).to(device)
    scores: npt.NDArray[np.float32] = (
        network.item_scores(torch.from_numpy(padded).to(device), lengths).cpu().numpy()
    )
    return scores
