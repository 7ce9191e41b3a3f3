"""Workers that hold shards: in this process, in processes of this machine, or as actors of Ray."""

import itertools
import multiprocessing
from abc import ABC, abstractmethod
from collections.abc import Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from sidkit.errors import ConfigError, SidkitError
from sidkit.scale.engines.ray import connect
from sidkit.scale.kmeans.shard import ShardGroup
from sidkit.scale.kmeans.source import VectorSource

__all__ = ["Workers", "start_workers"]

Ranges = Sequence[tuple[int, int]]


class Workers(ABC):
    """Workers that hold the shards of a source, as a context manager."""

    @abstractmethod
    def call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of every shard, and return the results in the order of the shards.

        Raises:
            SidkitError: raised by a shard, or if a worker died.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop the workers."""

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start_workers(
    source: VectorSource,
    ranges: Ranges,
    *,
    engine: str,
    workers: int,
    address: str | None,
    threads: int | None = None,
) -> Workers:
    """Start workers, each of which reads consecutive shards.

    Args:
        source: the vectors.
        ranges: rows of every shard.
        engine: `local` or `ray`.
        workers: number of workers.
        address: address of a Ray cluster, or None.
        threads: threads of a worker in this process, None for all cores; every other worker has one.

    Raises:
        ConfigError: if there is no such engine, or it has no address.
    """
    if engine not in ("local", "ray"):
        raise ConfigError(f"there is no such engine of fitting: expected `local` or `ray`, got `{engine}`.")
    if address is not None and engine == "local":
        raise ConfigError("the engine `local` has no address: expected None. Leave it out, or use `ray`.")
    parts = [part for part in _shares(ranges, workers) if part]
    if engine == "ray":
        return _RayWorkers(source, parts, address)
    if len(parts) == 1:
        return _OwnProcess(source, parts[0], threads)
    return _Processes(source, parts)


def _shares(ranges: Ranges, workers: int) -> list[Ranges]:
    cuts = [len(ranges) * worker // workers for worker in range(workers + 1)]
    return [ranges[start:stop] for start, stop in itertools.pairwise(cuts)]


class _OwnProcess(Workers):
    def __init__(self, source: VectorSource, ranges: Ranges, threads: int | None) -> None:
        self._group = ShardGroup(source, ranges, threads)

    def call(self, method: str, *arguments: Any) -> list[Any]:
        return self._group.call(method, *arguments)

    def close(self) -> None:
        del self._group


class _Processes(Workers):
    """One spawned process per worker, each at the other end of a pipe."""

    def __init__(self, source: VectorSource, parts: Sequence[Ranges]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for part in parts:
            own, other = context.Pipe()
            process = context.Process(target=_serve, args=(other, source, part), daemon=True)
            process.start()
            other.close()
            self._pipes.append(own)
            self._processes.append(process)
        self._gather()

    def call(self, method: str, *arguments: Any) -> list[Any]:
        for pipe in self._pipes:
            try:
                pipe.send((method, arguments))
            except (BrokenPipeError, ConnectionError):
                raise _died() from None
        return self._gather()

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(timeout=5)
            if process.is_alive():
                process.terminate()

    def _gather(self) -> list[Any]:
        found: list[Any] = []
        failed: BaseException | None = None
        for pipe in self._pipes:
            try:
                answer = pipe.recv()
            except (EOFError, ConnectionError):
                self.close()
                raise _died() from None
            if isinstance(answer, BaseException):
                failed = failed or answer
            else:
                found += answer
        if failed is not None:
            self.close()
            raise failed
        return found


def _serve(pipe: Connection, source: VectorSource, ranges: Ranges) -> None:
    """Answer calls until the other end of the pipe closes."""
    try:
        group = ShardGroup(source, ranges, 1)
        pipe.send([])
        while True:
            method, arguments = pipe.recv()
            pipe.send(group.call(method, *arguments))
    except (EOFError, ConnectionError, KeyboardInterrupt):
        return
    except Exception as error:
        pipe.send(error)


class _RayWorkers(Workers):
    """One actor per worker."""

    def __init__(self, source: VectorSource, parts: Sequence[Ranges], address: str | None) -> None:
        self._ray = connect(address)
        actor = self._ray.remote(num_cpus=1)(ShardGroup)
        self._actors = [actor.remote(source, part, 1) for part in parts]

    def call(self, method: str, *arguments: Any) -> list[Any]:
        shared = [self._ray.put(argument) for argument in arguments]
        try:
            answers = self._ray.get([actor.call.remote(method, *shared) for actor in self._actors])
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self._ray.exceptions.RayActorError as error:
            raise _died() from error
        return [result for answer in answers for result in answer]

    def close(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor)


def _died() -> SidkitError:
    return SidkitError(
        "a worker of the fit is lost: expected all of them to live until the end, got one that was killed, "
        "often for lack of memory. Use more workers with less data each, and fit again."
    )
