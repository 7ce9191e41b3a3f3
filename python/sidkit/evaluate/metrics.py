"""Recall, NDCG and MRR of each user, and facts about the lists as a whole.

With one target per user and its rank r (1 is the top), and nothing where the target is not among the first K:

    Recall@K = 1        NDCG@K = 1 / log2(r + 1)        MRR@K = 1 / r

The ideal list has the target on top, so NDCG needs no other normalization. Items are compared, never the
Semantic IDs under which they were generated.
"""

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from sidkit.errors import ConfigError, DataError
from sidkit.evaluate.predictions import Predictions

__all__ = ["catalogue_metrics", "metric_of_ranks", "target_ranks", "user_metrics"]

Float64 = npt.NDArray[np.float64]

# The share of the catalogue that `popular@K` calls popular.
POPULAR = 0.01
_KINDS = ("recall", "ndcg", "mrr")


def target_ranks(predictions: Predictions, n_items: int) -> npt.NDArray[np.int64]:
    """Give the rank of every user's target in the user's list.

    Args:
        predictions: m rows of k items.
        n_items: the size of the catalogue, against which items and targets are checked.

    Returns:
        int64 (m,), 1 for the top, 0 where the target is not in the list.

    Raises:
        DataError: if an item or a target is not in the catalogue.
    """
    for name, values in (("item", predictions.items), ("target", predictions.targets)):
        if values.max() >= n_items:
            row = int(np.argwhere(values >= n_items)[0, 0])
            raise DataError(
                f"row {row} of the predictions of `{predictions.model}` has {name} {int(values.max())}, "
                f"the catalogue has the items 0..{n_items - 1}"
            )
    found = predictions.items == predictions.targets[:, None]
    return np.where(found.any(axis=1), found.argmax(axis=1) + 1, 0)


def metric_of_ranks(ranks: npt.NDArray[np.integer], kind: str, k: int) -> Float64:
    """Give a metric of every user from the ranks of the targets.

    Args:
        ranks: int (m,), 1 for the top, 0 where the target is not in the list.
        kind: `recall`, `ndcg` or `mrr`.
        k: the cut-off.

    Returns:
        float64 (m,), whose mean is the metric.

    Raises:
        ConfigError: if there is no such metric.
    """
    if kind not in _KINDS:
        raise ConfigError(f"a rank tells {', '.join(_KINDS)}, not `{kind}`")
    hit = (ranks >= 1) & (ranks <= k)
    rank = np.where(hit, ranks, 1).astype(np.float64)
    worth = {"recall": np.ones_like(rank), "ndcg": 1.0 / np.log2(rank + 1.0), "mrr": 1.0 / rank}[kind]
    return np.where(hit, worth, 0.0)


def user_metrics(
    predictions: Predictions, n_items: int, ks: Iterable[int] = (5, 10, 20)
) -> dict[str, Float64]:
    """Give Recall@K, NDCG@K and MRR@K of every user, for every K.

    Args:
        predictions: m rows of k items.
        n_items: the size of the catalogue.
        ks: the cut-offs, each at most the k of the predictions.

    Returns:
        For each of `recall@5`, `ndcg@5`, `mrr@5`, …: float64 (m,), whose mean is the metric.

    Raises:
        ConfigError: if a cut-off is less than 1 or beyond the length of the lists.
        DataError: if an item or a target is not in the catalogue.
    """
    ranks = target_ranks(predictions, n_items)
    metrics = {}
    for k in _checked(ks, predictions):
        for kind in _KINDS:
            metrics[f"{kind}@{k}"] = metric_of_ranks(ranks, kind, k)
    return metrics


def catalogue_metrics(
    predictions: Predictions,
    n_items: int,
    ks: Iterable[int] = (10,),
    *,
    popularity: npt.NDArray[np.integer] | None = None,
) -> dict[str, float]:
    """Tell what the lists of all users together show, up to rank K.

    Args:
        predictions: m rows of k items.
        n_items: the size of the catalogue.
        ks: the cut-offs, each at most the k of the predictions.
        popularity: int (n_items,), the training events of each item; without it `popular@K` is left out.

    Returns:
        `coverage@K`, the share of the catalogue shown to anyone; `distinct@K`, the number of items that is;
        `filled@K`, the share of the places that hold an item; `popular@K`, the share of the shown items
        that are among the most popular 1 % of the catalogue (ties: the lower item index).
        `overlap@K`, the items that the lists of two users share / K, the mean over all pairs of users; 1
        where everyone is shown the same. `swapped@K`, the Recall@K of lists dealt out to other users at
        random, in expectation: a model that is hardly better does not read its users' histories.

    Raises:
        ConfigError: if a cut-off is less than 1 or beyond the length of the lists.
        DataError: if an item is not in the catalogue, or `popularity` has another length.
    """
    target_ranks(predictions, n_items)
    popular = None if popularity is None else _popular(popularity, n_items)
    metrics: dict[str, float] = {}
    for k in _checked(ks, predictions):
        shown = predictions.items[:, :k]
        shown = shown[shown >= 0]
        distinct = int(np.count_nonzero(np.bincount(shown, minlength=n_items)))
        metrics[f"coverage@{k}"] = distinct / n_items
        metrics[f"distinct@{k}"] = float(distinct)
        metrics |= _sameness(predictions, shown, n_items, k)
        metrics[f"filled@{k}"] = shown.size / (len(predictions) * k)
        if popular is not None:
            metrics[f"popular@{k}"] = float(popular[shown].mean()) if shown.size else 0.0
    return metrics


def _sameness(
    predictions: Predictions, shown: npt.NDArray[np.int32], n_items: int, k: int
) -> dict[str, float]:
    """Give `overlap@k` and `swapped@k` over all pairs of users, from how many lists each item is in."""
    users = len(predictions)
    if users < 2:
        return {}
    lists = np.bincount(shown, minlength=n_items).astype(np.float64)
    own = float((predictions.items[:, :k] == predictions.targets[:, None]).sum())
    pairs = users * (users - 1.0)
    return {
        f"overlap@{k}": float((lists * (lists - 1)).sum()) / pairs / k,
        f"swapped@{k}": (float(lists[predictions.targets].sum()) - own) / pairs,
    }


def _checked(ks: Iterable[int], predictions: Predictions) -> list[int]:
    cutoffs = sorted(set(ks))
    for k in cutoffs:
        if not 1 <= k <= predictions.k:
            raise ConfigError(
                f"the predictions of `{predictions.model}` hold {predictions.k} items a user, so a cut-off "
                f"must be in 1..{predictions.k}, got {k}; predict more items or lower the cut-off"
            )
    return cutoffs


def _popular(popularity: npt.NDArray[np.integer], n_items: int) -> npt.NDArray[np.bool_]:
    if popularity.shape != (n_items,):
        raise DataError(f"`popularity` must be ({n_items},), one count an item, got {popularity.shape}")
    most = np.argsort(-popularity.astype(np.int64), kind="stable")[: math.ceil(POPULAR * n_items)]
    popular = np.zeros(n_items, bool)
    popular[most] = True
    return popular
