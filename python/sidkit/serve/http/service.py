"""The server without HTTP: requests in, answers out, and the threads that do the work."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sidkit.errors import SidkitError
from sidkit.serve.http.explaining import explain
from sidkit.serve.http.logs import log
from sidkit.serve.http.metrics import Metrics
from sidkit.serve.http.peers import Peers
from sidkit.serve.http.planning import Planned, invalid, plan
from sidkit.serve.http.problems import Problem
from sidkit.serve.http.queues import Batcher, WorkPool
from sidkit.serve.http.ranking import Job, Ranking, rank
from sidkit.serve.http.reranking import StepCache, missing, rerank
from sidkit.serve.http.schemas import RecommendRequest
from sidkit.serve.http.settings import ServerSettings
from sidkit.serve.live import Snapshot
from sidkit.serve.users import EventStore
from sidkit.serve.writer import CatalogueWriter

__all__ = ["Service"]

T = TypeVar("T")

#: Seconds between two looks at the journal.
_PAUSE = 0.005
#: Seconds for which a thread keeps the interpreter while it changes the catalogue.
_TURN = 0.0005
#: Seconds that a change waits for the other workers, at most.
_PATIENCE = 1.0
#: Items of a request that are resolved on the event loop; more of them in a thread.
_FEW = 256


class Service:
    """Model, catalogue and queues of one process.

    Args:
        settings: settings of the server.
        metrics: metrics of the server.
        peers: all workers of the server, this one among them; None if it is alone.

    Attributes:
        writer: the catalogue.
        pool: threads for everything but the model.
        events: stored events of users, or None.
    """

    def __init__(self, settings: ServerSettings, metrics: Metrics, peers: Peers | None = None) -> None:
        limits = settings.limits
        self.settings, self.metrics, self._peers = settings, metrics, peers
        applied = {} if peers is None else {"applied": peers.applied}
        self.writer = CatalogueWriter(settings.source, settings.state, **applied)
        self.events = EventStore(limits.users, limits.events) if settings.store_events else None
        self.pool = WorkPool(2, limits.working, limits.timeout)
        self.slow = WorkPool(1, limits.working, limits.timeout)
        self.reloads = WorkPool(1, 1, 600.0)
        self.batcher: Batcher[Job, list[Ranking]] = Batcher(
            rank,
            batch=limits.batch,
            capacity=limits.waiting,
            delay=limits.delay,
            timeout=limits.timeout,
            on_batch=metrics.batches.observe,
        )
        self._steps = StepCache()
        self._following: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._reloading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow the changes of the other workers."""
        if self._peers is not None and self.settings.state is not None:
            # A change that was made while this process opened its files did not wait for it.
            await self._follow()
            self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop following changes."""
        if self._watching is not None:
            self._watching.cancel()

    async def snapshot(self) -> Snapshot:
        """Return the current version of the catalogue, with the changes of other processes."""
        if self.writer.behind:
            if self._following is None or self._following.done():
                self._following = asyncio.create_task(self._follow())
            await asyncio.shield(self._following)
        return self.writer.snapshot

    async def change(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function that changes the catalogue, and wait until all workers show the change.

        Raises:
            Problem: if the server is at capacity, or the call takes too long.
        """
        result: T = await self.slow.run(_giving_way, function, self.writer, *arguments)
        if self._peers is not None and not await self._peers.reached(self.writer.journal_bytes, _PATIENCE):
            log("a worker has not applied a change yet", level=logging.WARNING)
        return result

    async def _watch(self) -> None:
        """Follow the changes of other workers, so that no request waits for that."""
        while True:
            await asyncio.sleep(_PAUSE)
            try:
                await self.snapshot()
            except Exception as error:  # the next attempt may succeed, such as after a reload
                log("the journal cannot be followed", level=logging.ERROR, reason=str(error))
                await asyncio.sleep(_PATIENCE)

    async def _follow(self) -> None:
        if await self.slow.run(_giving_way, self.writer.follow):
            self._reloading = asyncio.create_task(self._open_again())

    async def _open_again(self) -> None:
        try:
            await self.reloads.run(self.writer.open_again)
        except (Problem, SidkitError, OSError) as error:
            log("reload failed", level=logging.ERROR, reason=str(error))

    def history(self, user: Any) -> list[Any] | None:
        """Return the known history of a user, with stored events; None for an unknown user."""
        former = None if self.writer.users is None else self.writer.users(user)
        recent = None if self.events is None else self.events.history(user)
        return None if former is None and recent is None else [*(former or ()), *(recent or ())]

    def refusal(self, under_way: int) -> int:
        """Return after how many seconds another request to the model has a chance, 0 if it has one now.

        Args:
            under_way: requests to the model that are not answered yet.
        """
        if under_way < self.settings.limits.under_way and not self.batcher.full:
            return 0
        return self.batcher.retry_after()

    async def recommend(self, request: RecommendRequest) -> dict[str, Any]:
        """Answer `POST /recommend`; see `RecommendResponse`.

        Raises:
            Problem: if the request is invalid, or the server is at capacity.
        """
        snapshot = await self._snapshot_of(request)
        arguments = request, snapshot, self.history, self.settings.limits
        planned = await self.pool.run(plan, *arguments) if _is_heavy(request) else plan(*arguments)
        rankings = await self.batcher.submit(planned.job, len(planned.job.histories))
        scores: list[dict[str, list[float]]] = []
        if request.rerank:
            rankings = await self._reranked(request, planned, rankings)
        if request.explain:
            scores = [await self._scores(planned, place, ids) for place, (ids, _) in enumerate(rankings)]
        self.metrics.unknown.inc(sum(map(len, planned.unknown)))
        if request.fields or request.sids or request.explain:
            results = await self.pool.run(_detailed, request, planned, rankings, scores)
        else:
            results = _results(planned, rankings)
        return {
            "results": results,
            "model_version": snapshot.model.version,
            "catalogue_version": snapshot.version,
        }

    async def _snapshot_of(self, request: RecommendRequest) -> Snapshot:
        if not request.compared:
            # Workers show a change before it is acknowledged, see `change`.
            return self.writer.snapshot if self._watching is not None else await self.snapshot()
        if self.writer.compared is None:
            raise invalid("compared", "expected a server with another model (`sidkit serve --compare`)")
        return self.writer.compared

    def close(self) -> None:
        """Answer what is under way, and stop."""
        self.batcher.close()
        self.pool.close()
        self.slow.close()
        self.reloads.close()
        self.writer.close()

    async def _reranked(
        self, request: RecommendRequest, planned: Planned, rankings: list[Ranking]
    ) -> list[Ranking]:
        snapshot, k = planned.snapshot, request.k
        pipeline = await self.pool.run(self._steps.pipeline, request.rerank, snapshot)
        model = planned.job.model
        searches = await self.pool.run(missing, pipeline, rankings, planned.job, k, model.features)
        rankings = list(rankings)
        for place, job in searches:
            ((ids, scores),) = await self.batcher.submit(job)
            there = set(rankings[place][0])
            fresh = [(item, score) for item, score in zip(ids, scores, strict=True) if item not in there]
            rankings[place] = (
                [*rankings[place][0], *(item for item, _ in fresh)],
                [*rankings[place][1], *(score for _, score in fresh)],
            )
        return await self.pool.run(rerank, pipeline, rankings, k, snapshot)

    async def _scores(self, planned: Planned, place: int, item_ids: list[Any]) -> dict[str, list[float]]:
        """Return the scores of some items under every scoring of the model."""
        history, model = planned.job.histories[place], planned.job.model
        rows = model.rows(item_ids)
        if not len(rows) or not history:
            return {}
        allow = model.item_set(rows)
        found = {}
        for scoring in model.scorings:
            job = Job(model, [history], len(item_ids), scoring, exclude_seen=False, allow=allow)
            ((ids, scores),) = await self.batcher.submit(job)
            by_item = dict(zip(ids, scores, strict=True))
            found[scoring] = [by_item.get(item, float("-inf")) for item in item_ids]
        return found


def _giving_way(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function whose thread often lets those that answer requests use the interpreter."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        return function(*arguments)
    finally:
        sys.setswitchinterval(before)


def values_of(snapshot: Snapshot, item_ids: Sequence[Any], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return values of items by column; empty for an item that is not in this version."""
    numbers = [snapshot.find(each) for each in item_ids]
    there = [place for place, number in enumerate(numbers) if number >= 0]
    found: list[dict[str, Any]] = [{} for _ in item_ids]
    for place, values in zip(
        there, snapshot.items.values([numbers[each] for each in there], columns), strict=True
    ):
        found[place] = values
    return found


def _is_heavy(request: RecommendRequest) -> bool:
    items = sum(map(len, request.histories or ())) + len(request.exclude) + len(request.allow or ())
    return request.where is not None or request.users is not None or request.allow is not None or items > _FEW


def _results(planned: Planned, rankings: Sequence[Ranking]) -> list[dict[str, Any]]:
    return [
        {
            "items": [{"item_id": item, "score": score} for item, score in zip(*ranking, strict=True)],
            "unknown": unknown,
            "by_popularity": not history,
        }
        for ranking, unknown, history in zip(rankings, planned.unknown, planned.job.histories, strict=True)
    ]


def _detailed(
    request: RecommendRequest,
    planned: Planned,
    rankings: Sequence[Ranking],
    scores: Sequence[dict[str, list[float]]],
) -> list[dict[str, Any]]:
    """Return the results with the columns, Semantic IDs and explanations that a request asks for."""
    snapshot, results = planned.snapshot, _results(planned, rankings)
    for place, (result, (ids, _)) in enumerate(zip(results, rankings, strict=True)):
        if request.fields:
            for item, values in zip(result["items"], values_of(snapshot, ids, request.fields), strict=True):
                item["fields"] = values
        if request.sids:
            for item, each in zip(result["items"], ids, strict=True):
                item["sid"] = snapshot.sid(snapshot.find(each))
        if request.explain:
            why = explain(snapshot, planned.job.histories[place], ids)
            for row, item in enumerate(result["items"]):
                named = {name: values[row] for name, values in scores[place].items()}
                item["why"] = why[row] | {"scores": {key: x for key, x in named.items() if x > -float("inf")}}
    return results
