"""Bounded queues: the model in batches, and threads for all other work."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from sidkit.serve.http.problems import Overloaded, Problem

__all__ = ["Batcher", "WorkPool"]

Job = TypeVar("Job")
Result = TypeVar("Result")
T = TypeVar("T")

#: Weight that may wait however slow the model is.
_FEW = 16


@dataclass(eq=False)
class _Waiting(Generic[Job]):
    job: Job
    weight: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any] = field(repr=False)
    abandoned: bool = False


class Batcher(Generic[Job, Result]):
    """Queue whose jobs one thread answers in batches.

    The thread takes all jobs that wait, up to a batch. A job that finds it idle starts a batch with all that
    arrive in the same turn of the event loop.

    Args:
        answer: function from jobs to their results; an exception among the results is raised for its job.
        batch: weight of a batch; a heavier job is a batch alone.
        capacity: weight that may wait; more is refused.
        delay: seconds that a job may probably have to wait; more are refused, once some wait.
        timeout: seconds until a job is given up.
        on_batch: called with the weight of every batch.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Job]], Sequence[Result | Exception]],
        *,
        batch: int,
        capacity: int,
        delay: float,
        timeout: float,
        on_batch: Callable[[int], None] = lambda weight: None,
    ) -> None:
        self._answer = answer
        self._batch, self._timeout = batch, timeout
        self._capacity, self._delay = capacity, delay
        self._on_batch = on_batch
        self._queue: deque[_Waiting[Job]] = deque()
        self._weight = 0
        self._closing = False
        self._waking = False
        self._seconds = 0.001  # of a unit of weight, smoothed
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="sidkit-model", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Weight of the jobs that wait."""
        return self._weight

    @property
    def full(self) -> bool:
        """True if a job of weight 1 would be refused now."""
        return self._closing or self._is_full(1)

    async def submit(self, job: Job, weight: int = 1) -> Result:
        """Return the result of a job.

        Raises:
            Overloaded: if the queue is full.
            Problem: if the job takes too long.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(job, weight, loop, loop.create_future())
        with self._changed:
            if self._closing or self._is_full(weight):
                raise Overloaded(self.retry_after())
            self._queue.append(waiting)
            self._weight += weight
        if not self._waking:
            self._waking = True
            loop.call_soon(self._wake)
        try:
            result: Result = await asyncio.wait_for(waiting.future, self._timeout)
            return result
        except asyncio.TimeoutError:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"the model did not answer within {self._timeout:g} s. Send a smaller request, or "
                "send it later.",
                headers={"Retry-After": str(self.retry_after())},
            ) from None
        finally:
            waiting.abandoned = True

    def retry_after(self) -> int:
        """Return after how many seconds the queue is probably empty, 1 to 60."""
        return int(min(60, max(1, round(self._weight * self._seconds + 0.5))))

    def close(self) -> None:
        """Answer all jobs that wait, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _is_full(self, weight: int) -> bool:
        late = self._weight >= min(self._batch, _FEW) and self._weight * self._seconds > self._delay
        return late or bool(self._weight and self._weight + weight > self._capacity)

    def _run(self) -> None:
        while batch := self._take():
            jobs = [each for each in batch if not each.abandoned]
            if not jobs:
                continue
            weight = sum(each.weight for each in jobs)
            self._on_batch(weight)
            started = time.perf_counter()
            try:
                results = self._answer([each.job for each in jobs])
            except Exception as error:
                results = [error] * len(jobs)
            self._seconds += 0.1 * ((time.perf_counter() - started) / weight - self._seconds)
            by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Waiting[Job], Any]]] = {}
            for each, result in zip(jobs, results, strict=True):
                by_loop.setdefault(each.loop, []).append((each, result))
            for loop, pairs in by_loop.items():
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_deliver, pairs)

    def _wake(self) -> None:
        self._waking = False
        with self._changed:
            self._changed.notify()

    def _take(self) -> list[_Waiting[Job]]:
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            taken: list[_Waiting[Job]] = []
            weight = 0
            while self._queue and (not taken or weight + self._queue[0].weight <= self._batch):
                taken.append(self._queue.popleft())
                weight += taken[-1].weight
            self._weight -= weight
            return taken


def _deliver(pairs: Sequence[tuple[_Waiting[Any], Any]]) -> None:
    for waiting, result in pairs:
        if waiting.future.done():
            continue
        if isinstance(result, Exception):
            waiting.future.set_exception(result)
        else:
            waiting.future.set_result(result)


class WorkPool:
    """Threads for work that is not the model's, with a limit of what is under way.

    Args:
        threads: number of threads.
        capacity: calls under way; more are refused.
        timeout: seconds until a call is given up; it runs to its end, and counts until then.
    """

    def __init__(self, threads: int, capacity: int, timeout: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="sidkit-work")
        self._capacity, self._timeout = capacity, timeout
        self._under_way = 0

    @property
    def under_way(self) -> int:
        """Number of calls under way."""
        return self._under_way

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in a thread.

        Raises:
            Overloaded: if too many calls are under way.
            Problem: if the call takes too long.
        """
        if self._under_way >= self._capacity:
            raise Overloaded
        self._under_way += 1
        future = asyncio.wrap_future(self._pool.submit(function, *arguments))
        future.add_done_callback(self._finished)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._timeout)
        except asyncio.TimeoutError:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"the request was not answered within {self._timeout:g} s. Send it again later.",
                headers={"Retry-After": "1"},
            ) from None

    def close(self) -> None:
        """Finish all calls, and stop."""
        self._pool.shutdown(wait=True)

    def _finished(self, future: asyncio.Future[Any]) -> None:
        self._under_way -= 1
        if not future.cancelled():
            future.exception()  # a call that was given up has nobody to raise it to
