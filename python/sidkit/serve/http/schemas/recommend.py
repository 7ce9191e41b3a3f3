"""Bodies of `/recommend` and `/similar`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from sidkit.serve.http.schemas.base import Answer, Body, FieldName, ItemId
from sidkit.serve.http.schemas.rerank import Step

__all__ = [
    "RecommendRequest",
    "RecommendResponse",
    "Recommendation",
    "Result",
    "SimilarRequest",
    "SimilarResponse",
    "Why",
]

Length = Annotated[int, Field(ge=1, le=100)]
_Fields = Annotated[list[FieldName], Field(max_length=16)]
_Ids = Annotated[list[ItemId], Field(max_length=10_000)]


class RecommendRequest(Body):
    """Histories, or users whose histories the server knows, and options for all of them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"histories": [[50, 172, 181]], "k": 10},
                {"histories": [[50], [172, 181]], "where": "release_year >= 1990", "fields": ["title"]},
                {"histories": [[50]], "rerank": [{"method": "mmr", "diversity": 0.3}], "candidates": 100},
            ]
        }
    )

    histories: Annotated[list[list[ItemId]], Field(min_length=1)] | None = None
    """Item ids, oldest first, one list per history."""
    users: Annotated[list[ItemId], Field(min_length=1)] | None = None
    """User ids, in place of histories."""
    k: Length = 10
    """Items per history."""
    scoring: Annotated[str, Field(max_length=64)] | None = None
    """Scoring of the model, see `GET /model`; by default its first."""
    exclude_seen: bool = True
    """Exclude the items of each history."""
    exclude: Annotated[_Ids, Field(default_factory=list)]
    """Items that are not recommended; unknown ids are ignored."""
    allow: _Ids | None = None
    """Items to which recommendations are restricted; unknown ids are ignored."""
    where: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """SQL condition on the columns of the items, such as `price < 20 AND brand != 'X'`."""
    rerank: Annotated[list[Step], Field(max_length=8, default_factory=list)]
    """Steps that choose the items of the list from the candidates."""
    candidates: Annotated[int, Field(ge=1, le=1000)] = 200
    """Items from which `rerank` chooses; at least `k`."""
    fields: Annotated[_Fields, Field(default_factory=list)]
    """Columns of the items to return."""
    sids: bool = False
    """Return the Semantic IDs of the items."""
    explain: bool = False
    """Return for each item what relates it to the history."""
    compared: bool = False
    """Answer by the model of `sidkit serve --compare`, which changes of the catalogue do not affect."""
    strict: bool = False
    """Refuse unknown items and empty histories, which are otherwise skipped and answered by popularity."""

    @model_validator(mode="after")
    def _one_of_both(self) -> RecommendRequest:
        if (self.histories is None) == (self.users is None):
            raise ValueError("expected either `histories` or `users`")
        return self


class Why(Answer):
    """Relations of a recommended item to the history."""

    shared_prefix: int | None
    """Tokens that its Semantic ID shares with that of the item of the history that shares most."""
    shared_with: ItemId | None
    """This item of the history."""
    similarity: float | None
    """Cosine similarity to the most similar item of the history."""
    similar_to: ItemId | None
    """This item of the history."""
    scores: dict[str, float]
    """Score of the item under every scoring of the model."""


class Recommendation(Answer):
    """A recommended item."""

    item_id: ItemId
    score: float
    """Score of the model, or of the last step of `rerank`."""
    sid: str | None = None
    """Semantic ID, if `sids`."""
    fields: dict[str, Any] | None = None
    """Values of the requested columns."""
    why: Why | None = None
    """See `explain`."""


class Result(Answer):
    """Recommendations for one history."""

    items: list[Recommendation]
    """Best first; fewer than `k` where filters leave fewer."""
    unknown: list[ItemId]
    """Items of the history that the model does not know; they were skipped."""
    by_popularity: bool
    """True if the history has no known item, so that the most popular items are returned."""


class RecommendResponse(Answer):
    """Recommendations for each history, in their order."""

    results: list[Result]
    model_version: str
    """Digest of the model's files."""
    catalogue_version: int
    """Number of changes of the catalogue so far."""


class SimilarRequest(Body):
    """Items whose similar items are requested."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item_ids": [50, 172], "k": 5}]})

    item_ids: Annotated[list[ItemId], Field(min_length=1, max_length=64)]
    """Known items."""
    k: Length = 10
    """Items to return for each."""
    fields: Annotated[_Fields, Field(default_factory=list)]
    """Columns of the items to return."""


class SimilarResponse(Answer):
    """Similar items of each item, most similar first; scores are cosines of learned vectors."""

    results: list[list[Recommendation]]
    model_version: str
    catalogue_version: int
