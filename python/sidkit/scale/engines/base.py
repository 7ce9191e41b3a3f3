"""Contract of engines."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, TypeVar

from sidkit.errors import ConfigError

__all__ = ["Engine"]

Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(ABC):
    """Base class of engines, which apply a function to tasks in one or several processes.

    Functions and tasks are picklable. A task is repeated if its worker dies; it has no effect until it
    succeeds, and the same effect every time.

    Args:
        workers: number of worker processes; None for the default of the engine.
        address: address of a cluster; None for this machine.
    """

    #: Name in the registry and on the command line.
    method: ClassVar[str]
    #: Whether `address` has a meaning.
    has_address: ClassVar[bool] = True

    def __init__(self, *, workers: int | None = None, address: str | None = None) -> None:
        if workers is not None and workers < 1:
            raise ConfigError(f"`workers` is invalid: expected an integer >= 1, got {workers}. Correct it.")
        if address is not None and not self.has_address:
            raise ConfigError(
                f"the engine `{self.method}` has no address: expected None, got `{address}`. Leave it out, "
                "or use another engine."
            )
        self.workers = workers
        self.address = address

    @abstractmethod
    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Apply `function` to every task, and yield results as tasks are finished, in any order.

        Raises:
            SidkitError: raised by `function`.
        """
