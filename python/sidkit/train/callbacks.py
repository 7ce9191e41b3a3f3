"""Callbacks of a training: progress on a terminal or in the log."""

import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sidkit._arguments import checked

__all__ = ["ProgressBar", "TrainProgress"]

_LOG = logging.getLogger("sidkit")


@dataclass(frozen=True)
class TrainProgress:
    """State of a training after a step.

    Attributes:
        step: steps done.
        total: steps of the whole training.
        epoch: epochs done, fractional.
        loss: loss of the last step, natural log.
        metrics: metrics of the last evaluation on validation; empty before the first.
    """

    step: int
    total: int
    epoch: float
    loss: float
    metrics: Mapping[str, float]


@checked
class ProgressBar:
    """Callback that shows step, loss and validation NDCG@10: one line on a terminal, log lines elsewhere.

    Args:
        every_seconds: seconds between two log lines (logger `sidkit`) without a terminal.
        clock: seconds that never fall; replaced in tests.
    """

    def __init__(self, every_seconds: float = 30.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.every_seconds = every_seconds
        self._clock = clock
        self._last = -float("inf")

    def __call__(self, progress: TrainProgress) -> None:
        """Show one state."""
        now, ended = self._clock(), progress.step >= progress.total
        terminal = sys.stderr.isatty()
        if not ended and now - self._last < (0.1 if terminal else self.every_seconds):
            return
        self._last = now
        line = f"step {progress.step}/{progress.total}  epoch {progress.epoch:.1f}  loss {progress.loss:.4f}"
        if "ndcg@10" in progress.metrics:
            line += f"  validation ndcg@10 {progress.metrics['ndcg@10']:.4f}"
        if terminal:
            sys.stderr.write(f"\r{line}\033[K" + ("\n" if ended else ""))
            sys.stderr.flush()
        else:
            _LOG.info(line)
