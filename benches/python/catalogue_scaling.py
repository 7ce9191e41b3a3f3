r"""Time and memory of the default recommender against the size of the catalogue.

    python benches/python/catalogue_scaling.py --items 12000 1000000 --json
    python benches/python/catalogue_scaling.py --items 12000 100000 1000000 10000000 \
        --out benches/record/catalogue-scaling.json

prints for every size the seconds of a training step, the peak memory of the training, and the users per
second of a beam search with 50 beams. Every size has a process of its own, on one thread.

A step has 128 histories of 20 items, from a `MarkovWorld`; the network has width 128 and the item vectors 64
dimensions, memory-mapped as float16. Semantic IDs have three codes and a collision token, of 256 codes per
level up to 20,000 items and of 1024 above. The first code is the cluster of the item, as a tokenizer finds
it; the others are random. `step_seconds` is the median of the steps after the warm-up, in processor time,
which on one thread is the wall time of an idle machine. `peak_bytes` is the largest resident set from the
call of `fit` on, inputs, network and mapped pages of the vectors included.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCH, LENGTH, WIDTH, DIM, BEAM, LIST = 128, 20, 128, 64, 50, 10
WARM_UP, STEPS, USERS = 3, 9, 256


def peak_since(function):
    """Call a function; return its result and the peak resident set meanwhile, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    result = function()
    lines = Path("/proc/self/status").read_text().splitlines()
    return result, 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def semantic_ids(world):
    """Make Semantic IDs whose first code is the cluster, as RQ-KMeans finds it; the others are random."""
    import numpy as np

    from sidkit.ids import SidTable

    size = 256 if world.items <= 20_000 else 1024
    codes = np.random.default_rng(0).integers(size, size=(world.items, 3), dtype=np.uint16)
    codes[:, 0] = world.cluster_of(np.arange(world.items)) % size
    return SidTable.from_codes(codes, np.arange(world.items), [size] * 3)


def measure(items, directory):
    """Train some steps on a catalogue of this size in this process, and recommend."""
    import numpy as np
    import polars as pl

    from sidkit import RQTransformer
    from sidkit.data import Histories, MarkovWorld

    world = MarkovWorld(items=items, dim=DIM, min_events=LENGTH + 1, max_events=LENGTH + 1)
    with (directory / "vectors.f16").open("wb") as file:
        for start in range(0, items, 1 << 16):
            world.vectors(start, min(items, start + (1 << 16))).tofile(file)
    vectors = np.memmap(directory / "vectors.f16", np.float16, "r", shape=(items, DIM))
    sids = semantic_ids(world)
    sessions = world.sessions(0, BATCH * (WARM_UP + STEPS))
    histories = Histories(sessions.values, sessions.offsets, sids.item_ids)
    model = RQTransformer(
        d_model=WIDTH,
        batch_size=BATCH,
        max_items=LENGTH,
        max_steps=WARM_UP + STEPS,
        measure_gemm=False,
        device="cpu",
    )
    clock = [time.process_time()]
    began = time.process_time()
    _, peak = peak_since(
        lambda: model.fit(
            histories,
            sids=sids,
            item_vectors=vectors,
            callbacks=[lambda progress: clock.append(time.process_time())],
        )
    )
    fitted = time.process_time() - began
    steps = np.diff(clock)
    tests = world.sessions(1 << 16, (1 << 16) + USERS)
    asked = Histories(tests.values, tests.offsets, sids.item_ids)
    model.recommend(asked.take(np.arange(64)), k=LIST)  # builds the trie
    began = time.process_time()
    (ids, scores), decoding_peak = peak_since(lambda: model.recommend(asked, k=LIST))
    decoded = time.process_time() - began
    assert np.isfinite(scores).all() and all(len(set(row)) == LIST for row in ids.tolist()), "wrong lists"
    return {
        "items": items,
        "codebook_size": sids.sizes[0],
        "step_seconds": statistics.median(steps[WARM_UP:].tolist()),
        "peak_bytes": peak,
        "decode_users_per_second": USERS / decoded,
        "decode_peak_bytes": decoding_peak,
        "first_step_seconds": float(steps[0]),
        "fit_seconds": fitted,
        "parameters": sum(tensor.numel() for tensor in model.network_.parameters()),
        "steps_measured": STEPS,
        "polars": pl.__version__,
    }


def main():
    """Measure every size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, nargs="+", default=[12_000, 1_000_000])
    parser.add_argument("--json", action="store_true", help="print one JSON object per size")
    parser.add_argument("--out", type=Path, help="where to keep the figures as JSON")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        with tempfile.TemporaryDirectory() as directory:
            print(json.dumps(measure(given.items[0], Path(directory))))
        return
    figures = []
    if not given.json:
        print("items          step s    peak GB    users/s, beam 50    fit s")
    for items in given.items:
        command = [sys.executable, __file__, "--measure", "--items", str(items)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
        ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        found = json.loads(ran.stdout)
        figures.append(found)
        if given.json:
            print(json.dumps(found), flush=True)
        else:
            print(
                f"{items:<12,}{found['step_seconds']:>9.3f}{found['peak_bytes'] / 1e9:>11.2f}"
                f"{found['decode_users_per_second']:>20.1f}{found['fit_seconds']:>9.1f}",
                flush=True,
            )
    if given.out is not None:
        from sidkit.evaluate import machine_facts, version_facts

        facts = {"machine": machine_facts(), "versions": version_facts()}
        shape = {"batch": BATCH, "length": LENGTH, "d_model": WIDTH, "dim": DIM, "beam": BEAM}
        given.out.write_text(json.dumps({**facts, **shape, "figures": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
