"""Topics of the campaign, found by their files, and what several of them use."""

import importlib
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
NO_TOPICS = {"__init__", "__main__", "topics", "test_slice"}


def names() -> list[str]:
    """Return the names of all topics."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NO_TOPICS)


def run(topic: str, seconds: float, seed: int) -> dict[str, int]:
    """Run one topic for about so many seconds."""
    counts: dict[str, int] = importlib.import_module(f"tests.campaign.{topic}").run(seconds, seed)
    return counts


class Alarm(Exception):
    """A call that did not return within its time; raised by the handler of SIGALRM."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise `Alarm` inside the block after so many seconds; only calls that can be stopped let it through."""

    def ring(_number: int, _frame: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def directory() -> Iterator[Path]:
    """Give a temporary directory, in memory where the system has one there."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as path:
        yield Path(path)
