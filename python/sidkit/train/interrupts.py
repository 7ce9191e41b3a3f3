"""Signals that end a training: they are noted at once and obeyed between two steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

__all__ = ["Interrupt", "catch_interrupts"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """The first signal that asked the training to stop.

    Attributes:
        number: the signal, or None as long as there was none.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._former: Any = None

    def note(self, number: int, former: Any) -> None:
        """Remember a signal, and its handler before the training."""
        self.number, self._former = number, former

    def obey(self) -> NoReturn:
        """End the training as the signal would have ended it.

        Raises:
            KeyboardInterrupt: after Ctrl-C, or if another process of the training was interrupted.
            SystemExit: after SIGTERM, with the status 143 that shells and schedulers expect.
        """
        if self.number == signal.SIGTERM:
            if callable(self._former):
                self._former(self.number, None)
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt


@contextmanager
def catch_interrupts() -> Iterator[Interrupt]:
    """Note the first Ctrl-C or SIGTERM instead of raising, so that no step is left half done.

    A second signal acts at once. Outside the main thread, where Python cannot catch signals, nothing changes.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    former = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def note(number: int, frame: FrameType | None) -> None:
        interrupt.note(number, former[signal.Signals(number)])
        restore()

    for number in _SIGNALS:
        signal.signal(number, note)
    try:
        yield interrupt
    finally:
        restore()
