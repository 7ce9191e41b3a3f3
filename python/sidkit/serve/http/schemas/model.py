"""Bodies about the model, users and the server."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from sidkit.serve.http.schemas.base import Answer, Body, ItemId

__all__ = ["Events", "ModelInfo", "ProblemDetails", "Reloaded", "Status", "StoredEvents"]


class ComparedModel(Answer):
    """The model with which requests may compare, see `compared` of `POST /recommend`."""

    method: str
    model_version: str
    items: int
    scorings: list[str]
    """The first is the default."""


class ModelInfo(Answer):
    """The model, and what requests may use."""

    method: str
    engine: str
    """`session` (Rust) or `recommender` (torch)."""
    model_version: str
    catalogue_version: int
    items: int
    scorings: list[str]
    """The first is the default."""
    sizes: list[int]
    """Tokens of each level of the Semantic IDs; empty without Semantic IDs."""
    columns: dict[str, str]
    """Type of each column of the items."""
    users: bool
    """True if the server knows histories of users."""
    stores_events: bool
    compared: ComparedModel | None


class Events(Body):
    """Events of a user, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user": "visitor-17", "item_ids": [50]}]})

    user: ItemId
    item_ids: Annotated[list[ItemId], Field(min_length=1)]


class StoredEvents(Answer):
    """Events that were stored."""

    stored: int
    """Number of stored events of the user."""
    unknown: list[ItemId]
    """Items that do not exist; they were not stored."""


class Reloaded(Answer):
    """A model that was opened again."""

    model_version: str
    changed: bool
    """True if its files are others than before."""


class Status(Answer):
    """State of the server."""

    status: str


class FieldProblem(Answer):
    """A field that is wrong."""

    field: str
    message: str


class ProblemDetails(Answer):
    """Error of a request (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: Annotated[list[FieldProblem], Field(default_factory=list)]
