"""Engine of this machine: one process, or several."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import ClassVar

from sidkit.scale.engines.base import Engine, Result, Task

__all__ = ["LocalEngine"]

#: Pools that are started for one list of tasks before a task that kills its workers is given up.
_ATTEMPTS = 3


class LocalEngine(Engine):
    """Engine without dependencies.

    Args:
        workers: number of processes; None and 1 work in the calling process.
        address: must be None.
    """

    method = "local"
    has_address: ClassVar[bool] = False

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Apply `function` to every task; see `Engine.run`."""
        if self.workers is None or self.workers == 1:
            yield from map(function, tasks)
            return
        left = dict(enumerate(tasks))
        for attempt in range(_ATTEMPTS):
            try:
                for number, result in _pooled(function, left, self.workers):
                    del left[number]
                    yield result
            except BrokenProcessPool:
                if attempt + 1 == _ATTEMPTS:
                    raise
            if not left:
                return


def _pooled(
    function: Callable[[Task], Result], tasks: dict[int, Task], workers: int
) -> Iterator[tuple[int, Result]]:
    # Forked children of a process with threads may hang, so children are spawned.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context) as pool:
        waiting = {pool.submit(function, task): number for number, task in tasks.items()}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
