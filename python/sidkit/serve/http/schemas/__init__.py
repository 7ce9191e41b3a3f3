"""Bodies of requests and answers, from which the OpenAPI description is made."""

from sidkit.serve.http.schemas.items import (
    Changed,
    Child,
    DeleteItems,
    ItemDetail,
    ItemPage,
    ItemSummary,
    NewItem,
    PrefixPage,
    PrefixStep,
    PutItems,
)
from sidkit.serve.http.schemas.model import Events, ModelInfo, ProblemDetails, Reloaded, Status, StoredEvents
from sidkit.serve.http.schemas.recommend import (
    Recommendation,
    RecommendRequest,
    RecommendResponse,
    Result,
    SimilarRequest,
    SimilarResponse,
    Why,
)

__all__ = [
    "Changed",
    "Child",
    "DeleteItems",
    "Events",
    "ItemDetail",
    "ItemPage",
    "ItemSummary",
    "ModelInfo",
    "NewItem",
    "PrefixPage",
    "PrefixStep",
    "ProblemDetails",
    "PutItems",
    "RecommendRequest",
    "RecommendResponse",
    "Recommendation",
    "Reloaded",
    "Result",
    "SimilarRequest",
    "SimilarResponse",
    "Status",
    "StoredEvents",
    "Why",
]
