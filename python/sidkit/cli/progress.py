"""Progress of a run: bars on a terminal, log lines elsewhere."""

import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from sidkit._progress import Progress as ProgressCall
from sidkit.run import StageRecord

__all__ = ["Watcher"]

# Bars are drawn ten times a second; more frequent updates would cost time and not be seen.
_SECONDS_BETWEEN_UPDATES = 0.1
_SECONDS_BETWEEN_LINES = 30.0


class Watcher:
    """An observer of a run, as a context manager.

    On a terminal it draws bars. Otherwise it logs a line to standard error every 30 seconds, with progress,
    the latest figures and the time left.

    Args:
        console: where finished stages are printed, and bars are drawn if it is a terminal.
        clock: seconds, monotonic.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._bars = Progress(
            TextColumn("  {task.description:<18}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            transient=True,
        )
        self._bar: TaskID | None = None
        self.stage = ""

    def __enter__(self) -> "Watcher":
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def started(self, stage: str) -> ProgressCall:
        """Draw a bar, or begin to log."""
        self.stage = stage
        return self._drawing(stage) if self._console.is_terminal else self._logging(stage)

    def skipped(self, stage: str) -> None:
        """Print that the stage is current."""
        self._line(stage, "up to date")

    def finished(self, stage: str, record: StageRecord) -> None:
        """Replace the bar by a line."""
        if self._bar is not None:
            self._bars.remove_task(self._bar)
            self._bar = None
        self._line(stage, f"{record.seconds:7.1f} s   {record.peak_memory_bytes / 2**20:6,.0f} MiB")

    def _drawing(self, stage: str) -> ProgressCall:
        bar = self._bar = self._bars.add_task(stage, total=None, figures="")
        last = 0.0

        def progress(done: int, total: int, /, **figures: float) -> None:
            nonlocal last
            now = self._clock()
            if done < total and now - last < _SECONDS_BETWEEN_UPDATES:
                return
            last = now
            self._bars.update(bar, completed=done, total=total, figures=_shown(figures))

        return progress

    def _logging(self, stage: str) -> ProgressCall:
        began = last = self._clock()
        first: int | None = None  # a resumed stage begins late, which must not shorten the time left

        def progress(done: int, total: int, /, **figures: float) -> None:
            nonlocal last, first
            if first is None:
                first = done
            now = self._clock()
            if now - last < _SECONDS_BETWEEN_LINES or self._console.quiet:
                return
            last = now
            left = (total - done) * (now - began) / (done - first) if done > first else None
            parts = [
                f"{stage} {done:,}/{total:,}",
                _shown(figures),
                "" if left is None else f"{_time(left)} left",
            ]
            print("  " + ", ".join(part for part in parts if part), file=sys.stderr, flush=True)

        return progress

    def _line(self, stage: str, what: str) -> None:
        self._console.print(f"  {stage:<18} {what}", highlight=False)
        sys.stdout.flush()


def _shown(figures: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.4g}" for name, value in figures.items())


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
