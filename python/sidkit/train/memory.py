"""Memory of the process: how much it took, and giving back what is free."""

import ctypes
import resource
import sys
from functools import cache

__all__ = ["peak_memory_bytes", "release_free_memory"]


def peak_memory_bytes() -> int:
    """The largest resident set of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def release_free_memory() -> None:
    """Give the allocator's free pages back to the system, where it can be asked to.

    Batches differ in shape, so the blocks that one step frees seldom fit the next, and glibc keeps them: a
    training of hours grows by gigabytes that nothing uses. Without glibc nothing is done.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> "ctypes._FuncPointer | None":  # the name is for type checkers only
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
