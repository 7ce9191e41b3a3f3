"""Progress of long work."""

from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Callback of long work, called as often as the work likes."""

    def __call__(self, done: int, total: int, /, **figures: float) -> None:
        """Report progress.

        Args:
            done: finished units of work; each function defines its unit.
            total: units of work in total.
            figures: current figures to show, such as `loss=2.31`.
        """


def silent(done: int, total: int, /, **figures: float) -> None:
    """Report nothing."""
