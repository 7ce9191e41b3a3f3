"""Batch jobs on one machine and on Ray: 2 million items, equal parts, wall time, and a killed worker.

    python benches/python/engines.py --data /tmp/items --prepare
    python benches/python/engines.py --data /tmp/items --out benches/record/engines.json

The first call writes vectors and a tokenizer. The second tokenizes them in this process with all cores, and
with two actors of Ray; compares the bytes of all parts; and repeats the job on Ray while one actor is killed.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sidkit.evaluate.machine import machine_facts
from sidkit.scale import ENGINES, TokenizeBatch, map_parquet
from sidkit.scale.batches.vectors import list_column
from sidkit.scale.engines.base import Engine
from sidkit.tokenizers import RQKMeans

ROWS, DIM, GROUP = 2_000_000, 128, 125_000
WORKERS = 2


class KilledOnce:
    """Kills its process at one fragment, the first time."""

    def __init__(self, function, number, flag):
        self.function, self.number, self.flag = function, number, str(flag)

    def __call__(self, fragment):
        if fragment.number == self.number and not Path(self.flag).exists():
            Path(self.flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.function(fragment)


class Killing(Engine):
    """Ray, one worker of which is killed in the middle."""

    method = "killing"

    def __init__(self, engine, number, flag):
        super().__init__()
        self.engine, self.number, self.flag = engine, number, flag

    def run(self, function, tasks):
        yield from self.engine.run(KilledOnce(function, self.number, self.flag), tasks)


def prepare(data, rows):
    data.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(2000, DIM)).astype(np.float32)
    schema = pa.schema([("item_id", pa.int64()), ("vector", pa.list_(pa.float32()))])
    with pq.ParquetWriter(data / "vectors.parquet", schema, compression="none") as writer:
        for start in range(0, rows, GROUP):
            count = min(GROUP, rows - start)
            x = centers[rng.integers(len(centers), size=count)]
            x = x + rng.standard_normal((count, DIM), dtype=np.float32)
            if start == 0:
                RQKMeans(4, 1024, subsample=50_000, iterations=5).fit(x).save(data / "tokenizer.safetensors")
            writer.write_table(
                pa.table([np.arange(start, start + count), list_column(x)], schema=schema), GROUP
            )


def digests(out):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob("part-*"))}


def measured(data, name, engine, threads):
    out = data / name
    shutil.rmtree(out, ignore_errors=True)
    start = time.perf_counter()
    function = TokenizeBatch(data / "tokenizer.safetensors", threads=threads)
    job = map_parquet(function, data / "vectors.parquet", out, engine=engine)
    return {"seconds": round(time.perf_counter() - start, 2), "rows": job.rows, "parts": job.parts}, digests(
        out
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.prepare:
        prepare(options.data, options.rows)
        return
    record = {"machine": machine_facts(), "rows": options.rows, "dim": DIM, "tokenizer": "RQKMeans(4, 1024)"}
    local, expected = [], None
    for _ in range(options.rounds):
        result, found = measured(options.data, "local", ENGINES["local"](), None)
        expected = expected or found
        assert found == expected
        local.append(result["seconds"])
    record["one process, all cores"] = {**result, "seconds": local}

    import ray

    start = time.perf_counter()
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    record["start of ray, seconds"] = round(time.perf_counter() - start, 2)
    engine = ENGINES["ray"](workers=WORKERS)
    times = []
    for _ in range(options.rounds):
        result, found = measured(options.data, "ray", engine, 1)
        assert found == expected, "the parts differ"
        times.append(result["seconds"])
    record["ray, 2 workers"] = {**result, "seconds": times, "parts equal": True}
    record["overhead"] = round(min(times) / min(local) - 1, 3)
    flag = options.data / "killed"
    flag.unlink(missing_ok=True)
    result, found = measured(options.data, "ray-killed", Killing(engine, result["parts"] // 2, flag), 1)
    assert flag.exists() and found == expected
    record["ray, one worker killed"] = {**result, "parts equal": True}
    print(json.dumps(record, indent=2))
    if options.out:
        options.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
