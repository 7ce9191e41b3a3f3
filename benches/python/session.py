r"""Inference session against the torch path, on the test users of Beauty.

    python benches/python/session.py --run runs/sets/beauty-rqtransformer-s0 --data ../shared/data/beauty \
        --out benches/record/session.json

The inference file of the run's model is exported first. Then, each in a process of its own:

- `equality`: both paths for every test user and every scoring, the ten best items, seen ones excluded. Lists
may
  differ only between items whose scores are within 1e-4 of each other. Nothing is timed if they do.
- `single`: one history per call of `recommend`, beam 50; of the session all users, of torch 300 of them, in
turn. - `batch`: all test users in one call; the median of three.
- `open`: from the start of `Session.open` to its first answer, and resident memory after it, of a process
that
  has imported `sidkit` and NumPy; the same of `load_model`.

Times are of the wall clock; `cpu` is the processor time of the calling thread. Torch uses as many threads as
there are cores.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BEAM, K, TOLERANCE, TORCH_CALLS, REPEATS = 50, 10, 1e-4, 300, 3


def test_histories(data):
    """Item ids of the histories of all test users."""
    import numpy as np

    from sidkit import load_dataset

    split = load_dataset(data).split("leave_last_out")
    ids = np.array(split.test.item_ids.to_list(), object)
    return [ids[row].tolist() for row in split.test.histories]


def model_of(run):
    from sidkit import load_model

    return load_model(run / "models" / "rqtransformer")


def export(arguments):
    """Write the inference file."""
    from sidkit import Session

    started = time.perf_counter()
    Session.export(model_of(arguments.run), arguments.file)
    seconds = time.perf_counter() - started
    return {"seconds": round(seconds, 2), "bytes": arguments.file.stat().st_size}


def equality(arguments):
    """Compare both paths for every test user."""
    import numpy as np

    from sidkit import Session

    model, session = model_of(arguments.run), Session.open(arguments.file)
    histories = test_histories(arguments.data)
    found = {"users": len(histories)}
    for scoring in session.scorings:
        ids, scores = session.recommend(histories, k=K, scoring=scoring, beam=BEAM)
        expected, wanted = model.recommend(histories, k=K, scoring=scoring)
        difference = float(np.abs(scores - wanted).max())
        row, place = np.nonzero(ids != expected)
        # The item in that place has a score that is as good, or it is a tie for the last place.
        near = np.abs(scores[row, place] - wanted[row, place])
        worst = float(near.max(initial=0.0))
        assert difference < TOLERANCE and worst < TOLERANCE, (scoring, difference, worst)
        found[scoring] = {
            "largest_difference": difference,
            "lists_that_are_equal": float((ids == expected).all(1).mean()),
        }
    return found


def single(arguments):
    """Time one history per call."""
    import numpy as np

    from sidkit import Session

    model, session = model_of(arguments.run), Session.open(arguments.file)
    histories = test_histories(arguments.data)

    def seconds(call, some):
        wall, cpu = [], []
        for history in some:
            before = time.perf_counter(), time.thread_time()
            call(history)
            wall.append(time.perf_counter() - before[0])
            cpu.append(time.thread_time() - before[1])
        p50, p90, p99 = (1e3 * np.quantile(wall, share) for share in (0.5, 0.9, 0.99))
        names = ("p50_ms", "p90_ms", "p99_ms", "p50_cpu_ms")
        return dict(
            zip(names, (round(each, 3) for each in (p50, p90, p99, 1e3 * np.median(cpu))), strict=True)
        )

    found = {}
    for scoring in session.scorings:

        def of_session(history, scoring=scoring):
            return session.recommend(history, k=K, scoring=scoring, beam=BEAM)

        def of_torch(history, scoring=scoring):
            return model.recommend(history, k=K, scoring=scoring)

        seconds(of_session, histories[:200])
        seconds(of_torch, histories[:20])
        step = len(histories) // TORCH_CALLS
        ours, torch = seconds(of_session, histories), seconds(of_torch, histories[::step])
        found[scoring] = {
            "session": ours,
            "torch": torch,
            "ratio": round(torch["p50_ms"] / ours["p50_ms"], 1),
        }
    state = session.start(histories[0])
    items = session.item_ids[:2000].tolist()

    def append(item):
        state.append(item)
        if len(state.history) >= 45:
            state.__dict__.update(session.start(histories[0]).__dict__)

    found["append"] = seconds(append, items)
    return found


def batch(arguments):
    """Time all test users in one call."""
    from sidkit import Session

    model, session = model_of(arguments.run), Session.open(arguments.file)
    histories = test_histories(arguments.data)

    def users_per_second(call):
        found = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            call()
            found.append(len(histories) / (time.perf_counter() - started))
        return round(sorted(found)[REPEATS // 2])

    return {
        scoring: {
            "session": users_per_second(
                lambda scoring=scoring: session.recommend(histories, k=K, scoring=scoring, beam=BEAM)
            ),
            "torch": users_per_second(
                lambda scoring=scoring: model.recommend(histories, k=K, scoring=scoring)
            ),
        }
        for scoring in session.scorings
    }


def open_session(arguments):
    """Time and memory of a session up to its first answer."""
    import sidkit

    before = resident()
    started = time.perf_counter()
    session = sidkit.Session.open(arguments.file)
    session.recommend([arguments.item], k=K)
    return {"seconds": round(time.perf_counter() - started, 4), "bytes": resident(), "bytes_before": before}


def open_model(arguments):
    """Time and memory of the torch path up to its first answer."""
    import sidkit

    before = resident()
    started = time.perf_counter()
    model = sidkit.load_model(arguments.run / "models" / "rqtransformer")
    model.recommend([arguments.item], k=K)
    return {"seconds": round(time.perf_counter() - started, 4), "bytes": resident(), "bytes_before": before}


def resident():
    """Bytes of resident memory, mapped pages of files included."""
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


STEPS = {each.__name__: each for each in (export, equality, single, batch, open_session, open_model)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--steps", nargs="*", choices=STEPS, default=list(STEPS))
    parser.add_argument("--file", type=Path)
    parser.add_argument("--item")
    parser.add_argument("--step")
    given = parser.parse_args()
    if given.step:
        print(json.dumps(STEPS[given.step](given)))
        return
    with tempfile.TemporaryDirectory() as directory:
        file = given.file or Path(directory) / "inference.safetensors"
        item = given.item or test_histories(given.data)[0][0]
        record = {"cpu": cpu(), "cores": os.cpu_count(), "beam": BEAM, "k": K}
        for step in given.steps:
            command = [sys.executable, __file__, "--run", given.run, "--data", given.data, "--file", file]
            command += ["--item", str(item), "--step", step]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            record[step] = json.loads(done.stdout)
            print(step, json.dumps(record[step]), flush=True)
    if given.out:
        given.out.write_text(json.dumps(record, indent=1) + "\n")


def cpu():
    """Name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
