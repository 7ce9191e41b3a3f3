"""Engine of Ray Data: a pool of actors on a Ray cluster."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sidkit._extras import require
from sidkit.errors import SidkitError
from sidkit.scale.engines.base import Engine, Result, Task

__all__ = ["RayEngine", "connect"]


class RayEngine(Engine):
    """Engine of Ray Data.

    Tasks are rows of a Ray dataset, and every worker is an actor with one CPU. Ray schedules the tasks, shows
    progress, starts a lost actor again, and repeats its task.

    Args:
        workers: number of actors; None for one per CPU of the cluster.
        address: address of a Ray cluster, such as `auto` or `ray://head:10001`; None uses the present one, or
            starts one on this machine.
    """

    method = "ray"

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Apply `function` to every task; see `Engine.run`."""
        ray = connect(self.address)
        data = require("ray.data", extra="ray")
        workers = self.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        rows = [{"task": pickle.dumps(task)} for task in tasks]
        results = data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Worker,
            fn_constructor_args=(function,),
            batch_size=1,
            batch_format="numpy",
            compute=data.ActorPoolStrategy(size=min(workers, len(rows))),
            num_cpus=1,
        )
        for row in results.iter_rows():
            result = pickle.loads(row["result"])
            if isinstance(result, SidkitError):
                raise result
            yield result


def connect(address: str | None) -> Any:
    """Return the module `ray`, connected to a cluster.

    Args:
        address: address of the cluster; None for the present one, or one that is started on this machine.
    """
    ray = require("ray", extra="ray")
    if not ray.is_initialized():
        # The dashboard takes longer to start than many jobs; a cluster has its own.
        local = {"include_dashboard": False} if address is None else {}
        ray.init(address=address, log_to_driver=False, **local)
    return ray


class _Worker:
    """Actor that applies the function; models stay loaded between its tasks."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"result": [pickle.dumps(self._outcome(task)) for task in batch["task"]]}

    def _outcome(self, task: bytes) -> Any:
        # An error of the data is a result: Ray would repeat the task, and hide the message in its own.
        try:
            return self._function(pickle.loads(task))
        except SidkitError as error:
            return error
