"""NDCG, recall, reciprocal rank and success of each query, as `trec_eval` defines them.

With relevance g_i of the document at rank i, and the relevance labels of the query in descending order g*_i:

    NDCG@K = DCG@K / ideal DCG@K    DCG@K = Σ_{i<=K} max(g_i, 0) / log2(i + 1)
    recall@K = relevant documents at ranks 1..K / all relevant documents
    MRR@K = 1 / rank of the first relevant document if it is at most K, else 0
    success@K = 1 if a relevant document is at a rank of at most K, else 0

A document is relevant if its relevance is 1 or more; documents without a label are not relevant.
"""

import re
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from sidkit.errors import ConfigError, DataError
from sidkit.search.collection.tables import QuerySet

__all__ = ["METRICS", "metric_name", "query_metrics"]

Float64 = npt.NDArray[np.float64]

#: Metrics of an evaluation; the first is the main one.
METRICS = ("ndcg@10", "recall@10", "recall@100", "mrr@10", "success@1")

_KINDS = ("ndcg", "recall", "mrr", "success")


def metric_name(metric: str) -> tuple[str, int]:
    """Parse a metric such as `ndcg@10`.

    Raises:
        ConfigError: if it is no metric with a cut-off of 1 or more.
    """
    found = re.fullmatch(rf"({'|'.join(_KINDS)})@([1-9][0-9]{{0,6}})", metric)
    if found is None:
        raise ConfigError(
            f"the metric is unknown: expected {', '.join(_KINDS)} with a cut-off such as `ndcg@10`, got "
            f"{metric!r}. Correct it."
        )
    return found[1], int(found[2])


def query_metrics(
    rows: npt.NDArray[np.integer], queries: QuerySet, metrics: Iterable[str] = METRICS
) -> dict[str, Float64]:
    """Compute metrics of every query.

    Args:
        rows: document rows, int (m, k), best first, padded with -1; a document at most once per query. A list
            shorter than a cut-off counts as if nothing relevant followed.
        queries: m queries with their relevance labels.
        metrics: names such as `ndcg@10`.

    Returns:
        One float64 (m,) array per metric; its mean is the metric of the system.

    Raises:
        ConfigError: if a metric is unknown.
        DataError: if there is not one list per query, a list repeats a document, or a query has no relevant
            document.
    """
    parsed = {name: metric_name(name) for name in metrics}
    if rows.ndim != 2 or len(rows) != len(queries):
        raise DataError(
            f"the lists do not fit the queries: expected ({len(queries)}, k), got {rows.shape}. "
            "Search all of the queries."
        )
    _check_distinct(rows)
    gains = _gains(rows, queries)
    relevant = np.bincount(queries.query_rows[queries.relevance >= 1], minlength=len(queries))
    if len(queries) and not relevant.all():
        raise DataError(
            f"query {queries.query_ids[int(np.argmin(relevant))]!r} has no relevant document: expected one "
            "more per query. Drop it."
        )
    ideal = _ideal(queries)
    return {name: _metric(kind, k, gains, ideal, relevant) for name, (kind, k) in parsed.items()}


def _metric(
    kind: str,
    k: int,
    gains: npt.NDArray[np.int64],
    ideal: npt.NDArray[np.int64],
    relevant: npt.NDArray[np.int64],
) -> Float64:
    top = gains[:, :k]
    if kind == "ndcg":
        return _dcg(top) / _dcg(ideal[:, :k])
    hits = top >= 1
    if kind == "recall":
        shares: Float64 = hits.sum(axis=1) / relevant
        return shares
    first = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1.0, np.inf) if k and top.size else np.inf
    reciprocal = np.broadcast_to(1.0 / np.asarray(first), len(gains))
    return np.array(reciprocal if kind == "mrr" else reciprocal > 0, np.float64)


def _dcg(gains: npt.NDArray[np.int64]) -> Float64:
    discounts = 1.0 / np.log2(np.arange(2, gains.shape[1] + 2))
    total: Float64 = np.maximum(gains, 0) @ discounts
    return total


def _gains(rows: npt.NDArray[np.integer], queries: QuerySet) -> npt.NDArray[np.int64]:
    """Look up the relevance of every listed document, 0 without a label, int64 (m, k)."""
    width = max(int(rows.max(initial=-1)), int(queries.doc_rows.max(initial=-1))) + 1
    keys = queries.query_rows * width + queries.doc_rows
    order = np.argsort(keys, kind="stable")
    wanted = np.arange(len(rows))[:, None] * width + rows
    place = np.minimum(np.searchsorted(keys[order], wanted), max(len(keys) - 1, 0))
    if not len(keys):
        return np.zeros(rows.shape, np.int64)
    found = (keys[order][place] == wanted) & (rows >= 0)
    return np.where(found, queries.relevance[order][place], 0)


def _ideal(queries: QuerySet) -> npt.NDArray[np.int64]:
    """Sort the relevance labels of every query in descending order, int64 (m, most labels), padded with 0."""
    counts = np.bincount(queries.query_rows, minlength=len(queries))
    table = np.zeros((len(queries), max(1, int(counts.max(initial=0)))), np.int64)
    order = np.lexsort((-queries.relevance, queries.query_rows))
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    table[queries.query_rows[order], place] = queries.relevance[order]
    return table


def _check_distinct(rows: npt.NDArray[np.integer]) -> None:
    ordered = np.sort(rows, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        row = int(np.argwhere(twice)[0, 0])
        raise DataError(
            f"list {row} repeats a document: expected each document row at most once, got several. "
            "Drop the repetitions."
        )
