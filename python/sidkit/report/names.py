"""Display names and colour classes of models and metrics, the same in every table and plot."""

from collections.abc import Sequence
from itertools import count

__all__ = ["baseline_last", "cold_title", "metric_name", "model_classes", "model_name"]

_MODELS = {
    "rqtransformer": "RQTransformer",
    "rqtransformer-fused": "RQ fused",
    "tiger": "TIGER",
    "actionpiece": "ActionPiece",
    "decoderonly": "Decoder-only",
    "sasrec": "SASRec",
    "gru4rec": "GRU4Rec",
    "bsarec": "BSARec",
    "transition_graph": "Transition graph",
    "item_knn": "Item-kNN",
    "content_knn": "Content-kNN",
    "popularity": "Popularity",
}
_FIRST = list(_MODELS)[:5]
_METRICS = {
    "recall": "Recall",
    "ndcg": "NDCG",
    "mrr": "MRR",
    "coverage": "Coverage",
    "cold": "Cold items",
    "distinct": "Distinct items",
    "filled": "Filled positions",
    "popular": "Popular items",
    "diversity": "Diversity",
    "entropy": "Entropy of first codes",
    "average_popularity": "Average popularity",
    "novelty": "Novelty",
    "serendipity": "Serendipity",
    "new": "New items",
    "miscalibration": "Miscalibration",
    "violations": "Violations",
    "gini": "Gini index",
    "list_overlap": "List overlap",
    "shuffled_history_recall": "Shuffled-history recall",
}
_SERIES = 7


def model_name(model: str) -> str:
    """Return the display name of a model, or of one ranking of a model: `RQTransformer`, `TIGER fused`."""
    base, _, scoring = model.partition("-")
    return _MODELS.get(model) or f"{_MODELS.get(base, base)} {scoring}".rstrip()


def metric_name(metric: str) -> str:
    """Return the display name of a metric, such as `NDCG@10`."""
    kind, at, k = metric.partition("@")
    return f"{_METRICS.get(kind, kind)}{at}{k}"


def cold_title(metric: str, group: str) -> str:
    """Return the title of a column of warm or cold targets, such as `NDCG@10, cold`."""
    return metric_name(metric) if group == "all" else f"{metric_name(metric)}, {group}"


def baseline_last(models: Sequence[str]) -> list[str]:
    """Order models for a table: generative models first, popularity last, others in the given order."""
    place = {model: index for index, model in enumerate(_FIRST)} | {"popularity": len(_FIRST) + 1}
    return sorted(models, key=lambda model: place.get(model, len(_FIRST)))


def model_classes(models: Sequence[str]) -> dict[str, str]:
    """Assign a colour class to each model; popularity is grey."""
    number = count()
    return {
        model: "quiet" if model == "popularity" else f"s{next(number) % _SERIES}"
        for model in baseline_last(list(dict.fromkeys(models)))
    }
