"""How long work tells how far it is: one callable, called as often as the worker likes."""

from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Told what is done, of how much, and the latest figures."""

    def __call__(self, done: int, total: int, /, **figures: float) -> None:
        """Take note.

        Args:
            done: units finished so far, of whatever the worker counts.
            total: units there will be.
            figures: what a person would like to watch, such as `loss=2.31`.
        """


def silent(done: int, total: int, /, **figures: float) -> None:
    """Take no note."""
