"""Bodies about items and prefixes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from sidkit.serve.http.schemas.base import Answer, Body, FieldName, ItemId

__all__ = [
    "Changed",
    "Child",
    "DeleteItems",
    "ItemDetail",
    "ItemPage",
    "ItemSummary",
    "NewItem",
    "PrefixPage",
    "PrefixStep",
    "PutItems",
]

_Text = Annotated[str, Field(max_length=20_000)]
_Scalar = bool | Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | float | _Text | None
_Value = _Scalar | Annotated[list[_Scalar], Field(max_length=256)]


class NewItem(Body):
    """An item to add or to replace."""

    item_id: ItemId
    values: Annotated[dict[FieldName, _Value], Field(max_length=64, default_factory=dict)]
    """Values by column; columns that are not given keep their values, and are null for a new item."""
    vector: Annotated[list[float], Field(min_length=1, max_length=8192)] | None = None
    """Content vector, as in the training of the tokenizer; needed for a new item if the server "
    "embeds no texts."""


class PutItems(Body):
    """Items to add or to replace, all of them or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"items": [{"item_id": 50, "values": {"title": "Star Wars (1977)"}}]}]
        }
    )

    items: Annotated[list[NewItem], Field(min_length=1)]
    """Distinct items."""


class DeleteItems(Body):
    """Items to remove, all of them or none; those that do not exist are reported."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item_ids": [1681, 1682]}]})

    item_ids: Annotated[list[ItemId], Field(min_length=1)]


class Changed(Answer):
    """A change that is on disk and visible."""

    catalogue_version: int
    """Number of changes of the catalogue so far."""
    added: int = 0
    replaced: int = 0
    removed: int = 0
    missing: Annotated[list[ItemId], Field(default_factory=list)]
    """Items to remove that did not exist."""
    recommendable: bool = True
    """False if the model cannot recommend the added items without a new training."""


class ItemSummary(Answer):
    """An item in a list."""

    item_id: ItemId
    title: str | None
    sid: str | None


class ItemPage(Answer):
    """A page of items."""

    total: int
    """Number of all matches."""
    items: list[ItemSummary]
    offset: int


class PrefixStep(Answer):
    """A prefix of an item's Semantic ID."""

    prefix: str
    items: int
    """Number of items under it."""


class ItemDetail(Answer):
    """An item."""

    item_id: ItemId
    values: dict[str, Any]
    """Values of all columns."""
    sid: str | None
    path: list[PrefixStep]
    """Prefixes of the Semantic ID, the shortest first."""
    neighbours: list[ItemSummary]
    """Items that share most of the Semantic ID."""
    training_events: int | None
    """Events of the item in the training; null for an item that the model does not know."""


class Child(Answer):
    """A prefix that is one token longer."""

    prefix: str
    items: int
    examples: list[ItemSummary]
    """Its first items."""


class PrefixPage(Answer):
    """A prefix, and a page of what is under it."""

    prefix: str
    items: int
    """Number of items under it."""
    children: int
    """Number of prefixes that are one token longer; 0 for a whole Semantic ID."""
    page: list[Child]
    """Some of them, in the order of their tokens."""
    members: list[ItemSummary]
    """Items under a whole Semantic ID."""
    offset: int
