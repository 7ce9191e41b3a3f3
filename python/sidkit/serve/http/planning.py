"""Requests for recommendations, checked and resolved against one version of the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np

from sidkit._core import ItemSet
from sidkit.errors import DataError
from sidkit.serve.http.conditions import check_condition
from sidkit.serve.http.problems import Problem, of_error
from sidkit.serve.http.ranking import Job
from sidkit.serve.http.schemas import RecommendRequest
from sidkit.serve.http.settings import Limits
from sidkit.serve.live import Snapshot

__all__ = ["Planned", "check_fields", "invalid", "plan"]

#: Function from a user id to item ids, or None for an unknown user.
Histories = Callable[[Any], list[Any] | None]


@dataclass(frozen=True)
class Planned:
    """A request that the model can answer.

    Attributes:
        snapshot: the version of the catalogue that answers it.
        job: what the model is asked.
        unknown: for each history, items that were skipped.
    """

    snapshot: Snapshot
    job: Job
    unknown: list[list[Any]]


def plan(request: RecommendRequest, snapshot: Snapshot, users: Histories, limits: Limits) -> Planned:
    """Check a request and resolve its items.

    Raises:
        Problem: if the request cannot be answered; it names the field.
    """
    model = snapshot.model
    scoring = model.scorings[0] if request.scoring is None else request.scoring
    if scoring not in model.scorings:
        raise invalid("scoring", f"expected one of {', '.join(model.scorings)}, got {scoring!r}")
    check_fields(request.fields, snapshot)
    given = _histories(request, users, limits)
    histories, unknown = [], []
    for place, history in enumerate(given):
        known = [snapshot.known(each) for each in history]
        histories.append(
            [snapshot.numbers.typed(item) for item, there in zip(history, known, strict=True) if there]
        )
        unknown.append([item for item, there in zip(history, known, strict=True) if not there])
        if request.strict:
            _check_strict(place, history, unknown[-1])
    exclude = [snapshot.numbers.typed(each) for each in request.exclude if snapshot.known(each)]
    k = max(request.k, request.candidates) if request.rerank else request.k
    job = Job(model, histories, k, scoring, request.exclude_seen, exclude, _allowed(request, snapshot))
    return Planned(snapshot, job, unknown)


def check_fields(fields: list[str], snapshot: Snapshot) -> None:
    """Check that columns exist.

    Raises:
        Problem: if one does not.
    """
    columns = snapshot.items.columns
    for place, name in enumerate(fields):
        if name not in columns:
            raise invalid(f"fields[{place}]", f"expected one of {', '.join(columns)}, got {name!r}")


def _histories(request: RecommendRequest, users: Histories, limits: Limits) -> list[list[Any]]:
    field = "users" if request.histories is None else "histories"
    count = len(getattr(request, field))
    if count > limits.histories:
        raise invalid(field, f"expected at most {limits.histories}, got {count}. Send several requests")
    if request.histories is None:
        found = [users(user) for user in request.users or ()]
        missing = next((place for place, history in enumerate(found) if history is None), None)
        if request.strict and missing is not None:
            raise invalid(f"users[{missing}]", "expected a known user, got an unknown one")
        return [(history or [])[-limits.history :] for history in found]
    for place, history in enumerate(request.histories):
        if len(history) > limits.history:
            raise invalid(
                f"histories[{place}]",
                f"expected at most {limits.history} items, got {len(history)}. Send the latest",
            )
    return request.histories


def _check_strict(place: int, history: list[Any], unknown: list[Any]) -> None:
    if unknown:
        raise invalid(f"histories[{place}]", f"expected known items, got {unknown[0]!r} among them")
    if not history:
        raise invalid(f"histories[{place}]", "expected at least one item, got none")


def _allowed(request: RecommendRequest, snapshot: Snapshot) -> ItemSet | None:
    if request.allow is None and request.where is None:
        return snapshot.current
    numbers = None
    if request.where is not None:
        check_condition(request.where)
        try:
            numbers = snapshot.chosen(request.where)
        except DataError as error:
            raise of_error(error, "where") from error
    if request.allow is not None:
        found = [number for each in request.allow if (number := snapshot.find(each)) >= 0]
        listed = np.array(found, np.int64)
        numbers = listed if numbers is None else np.intersect1d(numbers, listed)
    assert numbers is not None
    return snapshot.allow(numbers)


def invalid(field: str, message: str) -> Problem:
    """Return the problem of a field."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"`{field}` is invalid: {message}.",
        errors=[{"field": field, "message": message}],
    )
