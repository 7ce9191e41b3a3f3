"""RQ-KMeans over shards: one worker against two, and against `RQKMeans.fit`.

    python benches/python/kmeans_shards.py --out benches/record/kmeans-shards.json

One worker and each of two use one core. The codebooks must have equal bits. Times include the start of the
processes and reading.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from sidkit.evaluate.machine import machine_facts
from sidkit.scale import fit_shards
from sidkit.tokenizers import RQKMeans

ROWS, DIM = 1_000_000, 64
SETTINGS = {"levels": 2, "codebook_size": 256, "iterations": 10, "init": "k-means||", "threads": 1}


def spent(before, after):
    """Processor seconds of this process and of its finished children."""
    own = after.user + after.system - before.user - before.system
    children = after.children_user + after.children_system - before.children_user - before.children_system
    return round(own, 2), round(children, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rows", type=int, default=ROWS)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(1000, DIM)).astype(np.float32)
    x = centers[rng.integers(len(centers), size=options.rows)]
    x = x + rng.standard_normal(x.shape, dtype=np.float32)
    record = {
        "machine": machine_facts(),
        "rows": options.rows,
        "dim": DIM,
        "settings": SETTINGS,
        "seconds": {},
        "processor seconds": {},
    }
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / "x.npy"
        np.save(path, x)
        start = time.perf_counter()
        expected = RQKMeans(**SETTINGS).fit(x)
        record["seconds"]["RQKMeans.fit, one thread"] = round(time.perf_counter() - start, 2)
        del x
        for workers in (1, 2):
            start, before = time.perf_counter(), os.times()
            fitted = fit_shards(RQKMeans(**SETTINGS), path, shards=4, workers=workers)
            record["seconds"][f"4 shards, {workers} workers"] = round(time.perf_counter() - start, 2)
            own, children = spent(before, os.times())
            record["processor seconds"][f"{workers} workers"] = {"driver": own, "workers": children}
            assert fitted.fingerprint == expected.fingerprint, "the codebooks differ"
    record["equal bits"] = True
    one, two = (record["seconds"][f"4 shards, {workers} workers"] for workers in (1, 2))
    record["two workers over one"] = round(two / one, 3)
    # What the wall time would be on idle cores: the driver, and the workers side by side.
    busy = record["processor seconds"]
    paths = [
        busy[f"{count} workers"]["driver"] + busy[f"{count} workers"]["workers"] / count for count in (1, 2)
    ]
    record["two workers over one, by processor time"] = round(paths[1] / paths[0], 3)
    record["load average"] = os.getloadavg()[0]
    print(json.dumps(record, indent=2))
    if options.out:
        options.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
