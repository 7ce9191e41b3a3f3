"""Wall time, processor time and peak memory of a stage."""

import contextlib
import ctypes
import gc
import sys
import time
from pathlib import Path

__all__ = ["Meter", "return_memory"]

_PROC = Path("/proc/self")


class Meter:
    """Measurement that starts with the construction.

    On Linux the peak memory of the process is reset first, so that it is that of the stage; elsewhere it is
    that of the process so far, or 0 where the system does not report it.
    """

    def __init__(self) -> None:
        self._start, self._cpu = time.perf_counter(), time.process_time()
        with contextlib.suppress(OSError):
            # "5" resets the peak resident set size (proc_pid_clear_refs(5)).
            (_PROC / "clear_refs").write_text("5")

    @property
    def seconds(self) -> float:
        """Seconds since the construction."""
        return time.perf_counter() - self._start

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds of all threads of this process since the construction, user and system."""
        return time.process_time() - self._cpu

    @property
    def peak_memory_bytes(self) -> int:
        """Peak resident memory of this process, in bytes."""
        try:
            for line in (_PROC / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        except OSError:
            pass
        return _highest_of_process()


def return_memory() -> None:
    """Return freed memory to the system, so that it does not count for the next stage.

    The C library keeps what large tensors have freed until it is asked to trim.
    """
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def _highest_of_process() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
