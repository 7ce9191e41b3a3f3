"""Lock of a run directory for one writing process; the system releases it when the process ends."""

import os
import sys
from pathlib import Path

from sidkit.errors import RunDirectoryError

__all__ = ["DirectoryLock"]


class DirectoryLock:
    """An exclusive, non-blocking lock on the file `.lock` in a directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / ".lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Acquire the lock.

        Raises:
            RunDirectoryError: if another process holds it.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise RunDirectoryError(
                f"another process is writing to the run `{self._path.parent}`; wait for it to end, "
                "or choose another directory with --out"
            ) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock; no effect if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
