"""A small run in a child process that is forked, so that no package is imported again.

The parent process never works with polars, whose threads a fork would lose.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

import numpy as np

from sidkit.data.synthetic import cyclic_world
from sidkit.errors import SidkitError
from sidkit.run import RunDirectory, build_config, run_pipeline

__all__ = [
    "ERROR",
    "FRESH",
    "INSIDE",
    "in_child",
    "in_fresh_process",
    "metrics_of",
    "run_in_child",
    "strays",
    "wait",
    "write_dataset",
]

#: Exit codes of a child: an error of sidkit or of the operating system, and any other exception.
ERROR, INSIDE = 3, 4

#: Environment variable of a process of `in_fresh_process`.
FRESH = "SIDKIT_CAMPAIGN_PROCESS"


def in_fresh_process(module, seconds, seed, **environment):
    """Call `run` of a topic in a new interpreter, which no thread of this process disturbs."""
    program = f"import json; from {module} import run; print(json.dumps(run({seconds}, {seed})))"
    child = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {FRESH: "1"} | environment,
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(child.stdout.splitlines()[-1])


_SETTINGS = (
    "tokenize.levels=2",
    "tokenize.codebook_size=4",
    'recommenders.use=["popularity", "sasrec"]',
    "recommenders.sasrec.d_model=8",
    "recommenders.sasrec.heads=1",
    "recommenders.sasrec.layers=1",
    "recommenders.sasrec.max_steps=30",
    "recommenders.sasrec.evaluate_every_steps=10",
    'recommenders.sasrec.precision="f32"',
    "decode.beam=5",
    "decode.k=5",
    "evaluate.ks=[5]",
    "evaluate.bootstrap_samples=10",
)


def write_dataset(directory):
    """Write a dataset of 24 items and their vectors in a child process; return its directory."""
    assert wait(in_child(lambda: _write_dataset(directory), directory)) == 0
    return directory


def _write_dataset(directory):
    world = cyclic_world(users=40, items=24, dim=8, max_events=8)
    directory.mkdir(parents=True, exist_ok=True)
    world.dataset.items.write_parquet(directory / "items.parquet")
    world.dataset.interactions.write_parquet(directory / "interactions.parquet")
    np.save(directory / "vectors.npy", world.vectors)


def _run(dataset, path):
    settings = {"data": {"source": str(dataset)}, "embed": {"vectors": str(dataset / "vectors.npy")}}
    run_pipeline(build_config(settings, assignments=_SETTINGS), path)


def run_in_child(dataset, path, before=None, after=None):
    """Start a run, or continue one, in a child process; return its id.

    Args:
        dataset: directory of the dataset.
        path: directory of the run.
        before: called in the child before the run.
        after: called in the child after the run.
    """

    def work():
        if before is not None:
            before()
        _run(dataset, path)
        if after is not None:
            after()

    return in_child(work, path)


def in_child(work, path):
    """Call a function in a child process; return its id. An exception is written to `<path>.error`."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code, text = 0, ""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        work()
    except (SidkitError, OSError, MemoryError) as error:
        code, text = ERROR, f"{type(error).__name__}: {error}\n"
    except BaseException:
        code, text = INSIDE, traceback.format_exc()
    finally:  # nothing of the parent process is cleaned up by its child
        if code:
            with suppress(OSError):
                Path(f"{path}.error").write_text(text, encoding="utf-8")
        os._exit(code)


def wait(child, seconds=120.0):
    """Wait for a child, and kill it after the time; return its exit code, or minus its signal."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def metrics_of(path):
    """Return the results of a run, without its times."""
    return json.loads((Path(path) / "metrics.json").read_bytes())["results"]


def strays(path):
    """Return the files of a run directory that no stage has recorded and that no run leaves there."""
    path = Path(path)
    recorded = {name for record in RunDirectory(path).records.values() for name in record.outputs}
    usual = recorded | {"run.toml", "stages.json", ".lock"}
    found = {each.relative_to(path).as_posix() for each in path.rglob("*") if each.is_file()}
    temporary = {name for name in recorded if any(part.startswith(".") for part in Path(name).parts)}
    return sorted((found - usual) | temporary)
