"""What a person sees while a run works: bars on a terminal, one line per stage elsewhere."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from sidkit._progress import Progress as ProgressCall
from sidkit._progress import silent
from sidkit.run import StageRecord

__all__ = ["Watcher"]

# Bars are drawn ten times a second; telling them more often would cost without being seen.
_SECONDS_BETWEEN_UPDATES = 0.1


class Watcher:
    """An observer of a run that writes to a console; a context manager, so that the bars end with it."""

    def __init__(self, console: Console) -> None:
        self._console = console
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
        """Draw a bar."""
        self.stage = stage
        if not self._console.is_terminal:
            return silent
        bar = self._bar = self._bars.add_task(stage, total=None, figures="")
        last = 0.0

        def progress(done: int, total: int, /, **figures: float) -> None:
            nonlocal last
            now = time.monotonic()
            if done < total and now - last < _SECONDS_BETWEEN_UPDATES:
                return
            last = now
            shown = " ".join(f"{name} {value:.4g}" for name, value in figures.items())
            self._bars.update(bar, completed=done, total=total, figures=shown)

        return progress

    def skipped(self, stage: str) -> None:
        """Say that there was nothing to do."""
        self._line(stage, "as before")

    def finished(self, stage: str, record: StageRecord) -> None:
        """Replace the bar by a line."""
        if self._bar is not None:
            self._bars.remove_task(self._bar)
            self._bar = None
        self._line(stage, f"{record.seconds:7.1f} s   {record.peak_memory_bytes / 2**20:6,.0f} MiB")

    def _line(self, stage: str, what: str) -> None:
        self._console.print(f"  {stage:<18} {what}", highlight=False)
        sys.stdout.flush()
