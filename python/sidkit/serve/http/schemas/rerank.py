"""Re-ranking steps of a request."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sidkit.serve.http.schemas.base import Body, FieldName

__all__ = ["Step"]

_Weight = Annotated[float, Field(ge=-1e6, le=1e6)]
_Share = Annotated[float, Field(ge=0, le=1)]


class MMRStep(Body):
    """Diverse lists by maximal marginal relevance."""

    method: Literal["mmr"]
    diversity: _Share = 0.3
    """Weight of the diversity."""
    keep: Annotated[int, Field(ge=0, le=100)] = 0
    """First positions that go to the highest scores."""


class MaxSumStep(Body):
    """Diverse lists by max-sum diversification."""

    method: Literal["max_sum"]
    diversity: _Share = 0.05
    """Weight of the diversity."""
    temperature: Annotated[float, Field(gt=0.0, le=1000.0)] = 1.3
    """Divisor of the scores before the softmax."""


class DPPStep(Body):
    """Diverse lists by a determinantal point process."""

    method: Literal["dpp"]
    diversity: _Share = 0.3
    """Weight of the diversity."""
    keep: Annotated[int, Field(ge=0, le=100)] = 0
    """First positions that go to the highest scores."""


class DeduplicateStep(Body):
    """Removal of nearly identical items."""

    method: Literal["deduplicate"]
    threshold: _Share = 0.95
    """Least cosine of items that count as identical."""


class AttributeCapStep(Body):
    """Maximum number of items per value of a column."""

    method: Literal["attribute_cap"]
    column: FieldName
    """Column of the items."""
    at_most: Annotated[int, Field(ge=1, le=1000)] = 2
    """Items per value."""


class GroupShare(Body):
    """Share of a value."""

    value: str | int | bool
    """Value of the column."""
    share: _Share
    """Least share of the list."""


class MinimumShareStep(Body):
    """Minimum shares of values of a column; the last step."""

    method: Literal["minimum_share"]
    column: FieldName
    """Column of the items."""
    shares: Annotated[list[GroupShare], Field(min_length=1, max_length=16)]
    """Shares, together at most 1."""


class BoostStep(Body):
    """A column of numbers that is added to the scores."""

    method: Literal["boost"]
    column: FieldName
    """Column of the items."""
    weight: _Weight = 1.0
    """Factor of the numbers."""


class PopularityCorrectionStep(Body):
    """Log-q correction of scores by popularity."""

    method: Literal["popularity_correction"]
    weight: _Weight = 0.3
    """Strength of the correction."""


class SlotPolicyStep(Body):
    """Least and greatest number of items of a group in a list; the last step."""

    method: Literal["slot_policy"]
    min: Annotated[int, Field(ge=0, le=100)] = 1
    """Items of the group at least."""
    max: Annotated[int, Field(ge=0, le=100)] | None = None
    """Items of the group at most."""
    where: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """The group, as a condition on the columns; by default items without a training event."""


Step = Annotated[
    MMRStep
    | MaxSumStep
    | DPPStep
    | DeduplicateStep
    | AttributeCapStep
    | MinimumShareStep
    | BoostStep
    | PopularityCorrectionStep
    | SlotPolicyStep,
    Field(discriminator="method"),
]
