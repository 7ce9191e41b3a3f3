"""One writer at a time: a lock on a run directory that ends with its process, however that ends."""

import os
import sys
from pathlib import Path

from sidkit.errors import RunDirectoryError

__all__ = ["FolderLock"]


class FolderLock:
    """An exclusive, non-blocking lock on the file `.lock` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

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
                "or choose another folder with --out"
            ) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; harmless if it is not held."""
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
