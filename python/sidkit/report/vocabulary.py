"""How the report calls and colours things, the same in every table and plot."""

from collections.abc import Sequence
from itertools import count

__all__ = ["baseline_last", "metric_name", "model_classes", "model_name"]

_MODELS = {
    "rqtransformer": "RQTransformer",
    "rqtransformer-dense": "RQ dense",
    "rqtransformer-fused": "RQ fused",
    "tiger": "TIGER",
    "actionpiece": "ActionPiece",
    "decoderonly": "Decoder-only",
    "sasrec": "SASRec",
    "gru4rec": "GRU4Rec",
    "popularity": "Popularity",
}
_FIRST = list(_MODELS)[:5]
_METRICS = {
    "recall": "Recall",
    "ndcg": "NDCG",
    "mrr": "MRR",
    "coverage": "Coverage",
    "distinct": "Distinct items",
    "filled": "Filled places",
    "popular": "Popular items",
    "overlap": "Overlap of two lists",
    "swapped": "Recall of swapped lists",
}
_SERIES = 5


def model_name(model: str) -> str:
    """Write a model's name as its paper does."""
    return _MODELS.get(model, model)


def metric_name(metric: str) -> str:
    """Write a metric's name: `NDCG@10`."""
    kind, at, k = metric.partition("@")
    return f"{_METRICS.get(kind, kind)}{at}{k}"


def baseline_last(models: Sequence[str]) -> list[str]:
    """Order models for a table: generators first, popularity last, others in between as they come."""
    place = {model: index for index, model in enumerate(_FIRST)} | {"popularity": len(_FIRST) + 1}
    return sorted(models, key=lambda model: place.get(model, len(_FIRST)))


def model_classes(models: Sequence[str]) -> dict[str, str]:
    """Give each model its colour class; popularity is quiet."""
    number = count()
    return {
        model: "quiet" if model == "popularity" else f"s{next(number) % _SERIES}"
        for model in baseline_last(list(dict.fromkeys(models)))
    }
