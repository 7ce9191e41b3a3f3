"""Re-ranking steps of requests as re-rankers of `sidkit.rerank`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import numpy as np
import polars as pl

from sidkit.errors import SidkitError
from sidkit.rerank import RERANKERS, ItemFeatures, Pipeline
from sidkit.serve.http.conditions import check_condition
from sidkit.serve.http.problems import Problem, of_error
from sidkit.serve.http.ranking import Job, Ranking
from sidkit.serve.live import Snapshot

__all__ = ["StepCache", "missing", "rerank"]

_KEPT = 32


class StepCache:
    """Pipelines of the latest requests, which keep what they computed from the catalogue."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int, str], Pipeline] = {}

    def pipeline(self, steps: Sequence[Any], snapshot: Snapshot) -> Pipeline:
        """Return the pipeline of steps of a request.

        Raises:
            Problem: if a step cannot be applied to this catalogue.
        """
        key = (id(snapshot.model), snapshot.version, repr(steps))
        found = self._made.get(key)
        if found is None:
            found = Pipeline.of([_step(step, place, snapshot) for place, step in enumerate(steps)])
            if len(self._made) >= _KEPT:
                self._made.clear()
            self._made[key] = found
        return found


def missing(
    pipeline: Pipeline, rankings: Sequence[Ranking], job: Job, k: int, features: ItemFeatures
) -> list[tuple[int, Job]]:
    """Return searches for candidates of groups that a list must have and its candidates lack.

    Returns:
        The place of the history and what the model is asked, for each.

    Raises:
        Problem: if a step cannot be applied to lists of `k`.
    """
    try:
        required = pipeline.required(k, features)
    except SidkitError as error:
        raise of_error(error, "rerank") from error
    found = []
    for rows, count in required:
        group = job.model.item_set(rows)
        allow = group if job.allow is None else group & job.allow
        members = set(job.model.item_ids.gather(rows).to_list())
        for place, (ids, _) in enumerate(rankings):
            if sum(item in members for item in ids) < count:
                own = replace(job, histories=[job.histories[place]], k=count, allow=allow)
                found.append((place, own))
    return found


def rerank(pipeline: Pipeline, rankings: Sequence[Ranking], k: int, snapshot: Snapshot) -> list[Ranking]:
    """Apply a pipeline to the candidates of each history.

    Raises:
        Problem: if a step lacks something that it needs.
    """
    model = snapshot.model
    width = max(1, *(len(ids) for ids, _ in rankings))
    items = np.full((len(rankings), width), -1, np.int32)
    scores = np.full((len(rankings), width), -np.inf, np.float32)
    for row, (ids, values) in enumerate(rankings):
        items[row, : len(ids)] = model.rows(ids)
        scores[row, : len(ids)] = values
    try:
        chosen, values_of = pipeline.rerank(items, scores, k, model.features)
    except SidkitError as error:
        raise of_error(error, "rerank") from error
    return [
        (model.item_ids.gather(row[row >= 0]).to_list(), values[row >= 0].tolist())
        for row, values in zip(chosen, values_of, strict=True)
    ]


def _step(step: Any, place: int, snapshot: Snapshot) -> Any:
    settings = step.model_dump(exclude={"method"})
    column = settings.get("column")
    try:
        if column is not None:
            table = _column(column, place, snapshot)
            name = "values" if step.method == "boost" else "attribute"
            settings |= {name: table, "column": column}
            if step.method == "boost":
                settings["values"] = table.with_columns(pl.col(column).cast(pl.Float64))
        if "where" in settings:
            condition = settings.pop("where")
            if condition is not None:
                check_condition(condition)
                settings["items"] = snapshot.allow(snapshot.chosen(condition))
        if "shares" in settings:
            settings["shares"] = {each["value"]: each["share"] for each in settings["shares"]}
        return RERANKERS[step.method](**settings)
    except (SidkitError, pl.exceptions.PolarsError) as error:
        raise _invalid(place, str(error)) from error


def _column(column: str, place: int, snapshot: Snapshot) -> pl.DataFrame:
    columns = snapshot.items.columns
    if column not in columns or column == "item_id":
        raise _invalid(place, f"expected one of {', '.join(columns)} as `column`, got {column!r}")
    return snapshot.items.column(column)


def _invalid(place: int, message: str) -> Problem:
    field = f"rerank[{place}]"
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"`{field}` is invalid: {message}.",
        errors=[{"field": field, "message": message}],
    )
