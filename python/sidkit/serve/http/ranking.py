"""Recommendations of a batch of requests, with as few calls of the model as their options allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sidkit._core import ItemSet
from sidkit.serve.live.model import ServedModel

__all__ = ["Job", "Ranking", "rank"]

#: Width of the beam search of shorter lists, so that a batch does not change their answers.
_BEAM = 50

#: Item ids of one history, best first, and their scores.
Ranking = tuple[list[Any], list[float]]


@dataclass(frozen=True, eq=False)
class Job:
    """Histories of one request and the options that the model applies.

    Attributes:
        model: the model.
        histories: known item ids, oldest first.
        k: items per history.
        scoring: scoring of the model.
        exclude_seen: exclude the items of each history.
        exclude: known item ids that are not recommended.
        allow: items to which recommendations are restricted, or None.
    """

    model: ServedModel
    histories: list[list[Any]]
    k: int
    scoring: str
    exclude_seen: bool = True
    exclude: Sequence[Any] = ()
    allow: ItemSet | None = None

    @property
    def group(self) -> tuple[Any, ...]:
        """Jobs of one group can be answered by one call."""
        return id(self.model), self.scoring, self.exclude_seen, self.allow is None, max(self.k, _BEAM)


def rank(jobs: Sequence[Job]) -> list[list[Ranking] | Exception]:
    """Answer jobs.

    Returns:
        One ranking per history of each job; or the exception of a job, which does not affect other jobs.
    """
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, job in enumerate(jobs):
        groups.setdefault(job.group, []).append(place)
    answers: list[list[Ranking] | Exception] = [[] for _ in jobs]
    for places in groups.values():
        together = [jobs[place] for place in places]
        try:
            found: Sequence[list[Ranking] | Exception] = _ranked(together)
        except Exception as error:
            found = [error] if len(places) == 1 else [_alone(job) for job in together]
        for place, answer in zip(places, found, strict=True):
            answers[place] = answer
    return answers


def _alone(job: Job) -> list[Ranking] | Exception:
    try:
        return _ranked([job])[0]
    except Exception as error:
        return error


def _ranked(jobs: Sequence[Job]) -> list[list[Ranking]]:
    """Answer jobs of one group by one call of the model."""
    first = jobs[0]
    histories = [history for job in jobs for history in job.histories]
    options: dict[str, Any] = {"scoring": first.scoring, "exclude_seen": first.exclude_seen}
    if any(job.exclude for job in jobs):
        options["exclude"] = [list(job.exclude) for job in jobs for _ in job.histories]
    if first.allow is not None:
        shared = all(job.allow is first.allow for job in jobs)
        options["allow"] = first.allow if shared else [job.allow for job in jobs for _ in job.histories]
    ids, scores = first.model.recommend(histories, max(job.k for job in jobs), **options)
    answers, start = [], 0
    for job in jobs:
        rows = range(start, start + len(job.histories))
        answers.append([(found := ids[row][: job.k], scores[row][: len(found)].tolist()) for row in rows])
        start += len(job.histories)
    return answers
