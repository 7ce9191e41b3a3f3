"""Memory of the process: its peak, and returning free memory to the system."""

import ctypes
import resource
import sys
from functools import cache

__all__ = ["peak_memory_bytes", "release_free_memory"]


def peak_memory_bytes() -> int:
    """Return the largest resident set of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def release_free_memory() -> None:
    """Return the allocator's free pages to the system, where glibc allows it.

    Batches differ in shape, so the blocks that one step frees seldom fit the next, and glibc keeps them: a
    long training would grow by gigabytes that nothing uses. Without glibc, this does nothing.
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
