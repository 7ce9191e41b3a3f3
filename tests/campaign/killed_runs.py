"""Runs that are killed with SIGKILL at random times, and continued until they are complete.

The metrics must be those of a run that nobody killed, and no temporary file may be left or recorded.
"""

import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tests.campaign.parts.small_run import (
    ERROR,
    FRESH,
    in_fresh_process,
    metrics_of,
    run_in_child,
    strays,
    wait,
    write_dataset,
)

__all__ = ["run"]


def run(seconds, seed):
    """Kill and continue runs until the time is over."""
    if FRESH not in os.environ:
        return in_fresh_process(__name__, seconds, seed)
    rng = np.random.default_rng(seed)
    counts = {"runs": 0, "kills": 0, "bad_errors": 0, "bad_metrics": 0, "bad_strays": 0}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        dataset = write_dataset(directory / "dataset")
        started = time.monotonic()
        assert wait(run_in_child(dataset, directory / "whole")) == 0
        duration = time.monotonic() - started
        expected = metrics_of(directory / "whole")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            path = directory / f"run{counts['runs']}"
            kills = 0
            while True:
                child = run_in_child(dataset, path)
                code = wait(child, float(rng.uniform(0, duration))) if kills < 4 else wait(child)
                if code == 0:
                    break
                if code == -signal.SIGKILL and kills < 4:
                    kills += 1
                else:
                    counts["bad_errors"] += 1
                    print(Path(f"{path}.error").read_text() if code in (ERROR, 4) else code, file=sys.stderr)
                    break
            counts["runs"] += 1
            counts["kills"] += kills
            counts["bad_metrics"] += code == 0 and metrics_of(path) != expected
            left = strays(path) if code == 0 else []
            counts["bad_strays"] += bool(left)
            if left:
                print(left, file=sys.stderr)
            shutil.rmtree(path, ignore_errors=True)
    return counts
