"""Recall, NDCG and MRR of each user, and figures of all lists together.

With one target per user at rank r <= K (1 is the top):

    Recall@K = 1        NDCG@K = 1 / log2(r + 1)        MRR@K = 1 / r

All three are 0 where the target is not among the first K items. The ideal list has the target on top, so NDCG
needs no further normalization. Metrics compare items, never the Semantic IDs that were generated.
"""

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Count, checked
from sidkit.errors import ConfigError, DataError
from sidkit.evaluate.predictions import Predictions

__all__ = ["catalogue_metrics", "metric_of_ranks", "target_ranks", "user_metrics"]

Float64 = npt.NDArray[np.float64]

# Share of the catalogue that counts as popular in `popular@K`.
POPULAR = 0.01
_KINDS = ("recall", "ndcg", "mrr")


@checked
def target_ranks(predictions: Predictions, n_items: Count) -> npt.NDArray[np.int64]:
    """Find the rank of every user's target in the user's list.

    Args:
        predictions: m rows of k items.
        n_items: the size of the catalogue; items and targets are validated against it.

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


def metric_of_ranks(ranks: npt.NDArray[np.integer], kind: str, k: Count) -> Float64:
    """Compute a metric of every user from the ranks of the targets.

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
        raise ConfigError(f"unknown metric: expected {', '.join(_KINDS)}, got `{kind}`")
    hit = (ranks >= 1) & (ranks <= k)
    rank = np.where(hit, ranks, 1).astype(np.float64)
    worth = {"recall": np.ones_like(rank), "ndcg": 1.0 / np.log2(rank + 1.0), "mrr": 1.0 / rank}[kind]
    return np.where(hit, worth, 0.0)


@checked
def user_metrics(
    predictions: Predictions, n_items: Count, ks: Iterable[int] = (5, 10, 20)
) -> dict[str, Float64]:
    """Compute Recall@K, NDCG@K and MRR@K of every user, for every K.

    Args:
        predictions: m rows of k items.
        n_items: the size of the catalogue.
        ks: the cut-offs, each at most the k of the predictions.

    Returns:
        One float64 (m,) array for each of `recall@5`, `ndcg@5`, `mrr@5`, …; its mean is the metric.

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


@checked
def catalogue_metrics(
    predictions: Predictions,
    n_items: Count,
    ks: Iterable[int] = (10,),
    *,
    popularity: npt.NDArray[np.integer] | None = None,
) -> dict[str, float]:
    """Compute figures of all lists together, up to rank K.

    Args:
        predictions: m rows of k items.
        n_items: the size of the catalogue.
        ks: the cut-offs, each at most the k of the predictions.
        popularity: int (n_items,), the training events of each item; without it `popular@K` and `cold@K` are
            omitted.

    Returns:
        `coverage@K`: share of the catalogue recommended to at least one user. `distinct@K`: the number of
        these items. `filled@K`: share of the list positions that hold an item. `popular@K`: share of the
        recommended items among the most popular 1 % of the catalogue (ties: the lower item index).
        `cold@K`: share of the recommended items without a training event.
        `list_overlap@K`: items that the lists of two users share, divided by K, averaged over all pairs of
        users; 1 if all lists are equal. `shuffled_history_recall@K`: expected Recall@K if lists were assigned
        to other users at random; a model whose Recall@K is hardly higher does not use the histories.

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
        metrics |= _pair_figures(predictions, shown, n_items, k)
        metrics[f"filled@{k}"] = shown.size / (len(predictions) * k)
        if popular is not None:
            metrics[f"popular@{k}"] = float(popular[shown].mean()) if shown.size else 0.0
        if popularity is not None:
            metrics[f"cold@{k}"] = float((popularity[shown] == 0).mean()) if shown.size else 0.0
    return metrics


def _pair_figures(
    predictions: Predictions, shown: npt.NDArray[np.int32], n_items: Count, k: Count
) -> dict[str, float]:
    """Compute both figures over all pairs of users from the number of lists that contain each item."""
    users = len(predictions)
    if users < 2:
        return {}
    lists = np.bincount(shown, minlength=n_items).astype(np.float64)
    own = float((predictions.items[:, :k] == predictions.targets[:, None]).sum())
    pairs = users * (users - 1.0)
    return {
        f"list_overlap@{k}": float((lists * (lists - 1)).sum()) / pairs / k,
        f"shuffled_history_recall@{k}": (float(lists[predictions.targets].sum()) - own) / pairs,
    }


def _checked(ks: Iterable[int], predictions: Predictions) -> list[int]:
    cutoffs = sorted(set(ks))
    for k in cutoffs:
        if not 1 <= k <= predictions.k:
            raise ConfigError(
                f"cut-off beyond the lists of `{predictions.model}`: expected 1..{predictions.k}, got {k}. "
                "Predict more items per user or lower the cut-off"
            )
    return cutoffs


def _popular(popularity: npt.NDArray[np.integer], n_items: Count) -> npt.NDArray[np.bool_]:
    if popularity.shape != (n_items,):
        raise DataError(f"`popularity` must be ({n_items},), one count per item, got {popularity.shape}")
    most = np.argsort(-popularity.astype(np.int64), kind="stable")[: math.ceil(POPULAR * n_items)]
    popular = np.zeros(n_items, bool)
    popular[most] = True
    return popular
