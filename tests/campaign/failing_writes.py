"""Faults at every write, sync and rename of a small run: a full disk, a device error, a short write.

After each, the error must be clean, and the same run, continued without the fault, must be complete, with
the metrics of an undisturbed run and no stray files. The faults come from `faults.c`, which is compiled with
`cc` and loaded with LD_PRELOAD; without a compiler the topic does nothing.
"""

import ctypes
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tests.campaign.parts.small_run import (
    ERROR,
    in_fresh_process,
    metrics_of,
    run_in_child,
    strays,
    wait,
    write_dataset,
)

__all__ = ["run"]

#: Error, and whether half of the data is written before it.
_FAULTS = ((errno.ENOSPC, 0), (errno.ENOSPC, 1), (errno.EIO, 0), (errno.EIO, 1))
_SHIM = "SIDKIT_FAULTS"
#: Operations between the first ones of two seeds.
_STEP = 50


def run(seconds, seed):
    """Disturb every operation once, in a random order, then with the next fault, until the time is over.

    The order is the same for all seeds; each begins `_STEP` operations behind the one before.
    """
    if _SHIM in os.environ:
        return _run(seconds, seed)
    if shutil.which("cc") is None:
        return {"without_compiler": 1}
    with tempfile.TemporaryDirectory() as name:
        library = str(Path(name) / "faults.so")
        source = Path(__file__).parent / "parts/faults.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, str(source), "-ldl"], check=True)
        return in_fresh_process(__name__, seconds, seed, LD_PRELOAD=library, **{_SHIM: library})


def _run(seconds, seed):
    shim = ctypes.CDLL(os.environ[_SHIM])
    shim.faults_arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int]
    shim.faults_count.restype = ctypes.c_long
    rng = np.random.default_rng(0)
    counts = dict.fromkeys(
        ("faults", "errors", "bad_tracebacks", "bad_resumed", "bad_metrics", "bad_strays"), 0
    )
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name).resolve()
        dataset = write_dataset(directory / "dataset")
        tally = directory / "operations"
        whole = directory / "whole"

        def counted():
            shim.faults_arm(os.fsencode(f"{whole}/"), 0, 0, 0)

        def write_tally():
            tally.write_text(str(shim.faults_count()))

        assert wait(run_in_child(dataset, whole, before=counted, after=write_tally)) == 0
        operations, expected = int(tally.read_text()), metrics_of(whole)
        counts["latest_operations"] = operations
        end = time.monotonic() + seconds
        rounds = (rng.permutation(operations) for _ in _FAULTS)
        places = [(place, turn) for turn, order in enumerate(rounds) for place in order]
        first = seed * _STEP % len(places)
        for number, (place, turn) in enumerate(places[first:] + places[:first]):
            if time.monotonic() > end:
                break
            at, (error, partly) = int(place) + 1, _FAULTS[(place + turn) % len(_FAULTS)]
            path = directory / f"run{number}"
            before = lambda path=path, at=at, error=error, partly=partly: shim.faults_arm(  # noqa: E731
                os.fsencode(f"{path}/"), at, error, partly
            )
            code = wait(run_in_child(dataset, path, before=before))
            counts["faults"] += 1
            counts["errors"] += code == ERROR
            if code not in (0, ERROR):
                counts["bad_tracebacks"] += 1
                print(at, errno.errorcode[error], partly, code, _said(path), file=sys.stderr)
            code = wait(run_in_child(dataset, path))
            if code != 0:
                counts["bad_resumed"] += 1
                print("resumed:", at, errno.errorcode[error], partly, code, _said(path), file=sys.stderr)
            else:
                counts["bad_metrics"] += metrics_of(path) != expected
                left = strays(path)
                counts["bad_strays"] += bool(left)
                if left:
                    print(at, errno.errorcode[error], left, file=sys.stderr)
            shutil.rmtree(path, ignore_errors=True)
    return counts


def _said(path):
    file = Path(f"{path}.error")
    return file.read_text()[-1500:] if file.is_file() else ""
