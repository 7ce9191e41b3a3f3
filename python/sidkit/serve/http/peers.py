"""Worker processes of one server: up to where each has applied the journal."""

from __future__ import annotations

import asyncio
import ctypes
import time

__all__ = ["ABSENT", "Peers"]

#: Position of a process that does not answer requests.
ABSENT = 2**64 - 1

_PAUSE = 0.001


class Peers:
    """Positions in the journal up to which the workers of a server have applied it.

    Args:
        positions: one number for each worker, in memory that all of them share; `ABSENT` before it is ready.
        place: place of this worker.
    """

    def __init__(self, positions: ctypes.Array[ctypes.c_uint64], place: int) -> None:
        self._positions, self._place = positions, place

    def applied(self, position: int) -> None:
        """Record the position of this worker."""
        self._positions[self._place] = position

    async def reached(self, position: int, timeout: float) -> bool:
        """Wait until all workers have applied the journal up to a position.

        Returns:
            False if one of them has not within so many seconds.
        """
        end = time.monotonic() + timeout
        while min(self._positions) < position:
            if time.monotonic() > end:
                return False
            await asyncio.sleep(_PAUSE)
        return True
