r"""Batches from Parquet files against batches from memory: time, and memory of one and of two processes.

    python benches/python/parquet_histories.py --histories 2000000 --out benches/record/parquet-histories.json

Histories have 5 to 35 events, 20 on average, of a million items. Each way runs in a process of its own,
which prepares the batches and loads `--batches` of them; the batches of both hold the same windows. Peak
memory is that of the process above the one that imports and makes nothing.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from sidkit.data import Histories, ParquetHistories
from sidkit.evaluate import machine_facts, version_facts
from sidkit.train import FragmentBatches, SequenceBatches

ITEMS, FILES, SETTINGS = 1_000_000, 8, {"batch_size": 1024, "max_items": 50, "padding": 1_000_000, "seed": 0}


def write(folder, histories):
    """Write the histories to files with row groups of 65,536."""
    for number in range(FILES):
        rng = np.random.default_rng(number)
        lengths = rng.integers(5, 36, size=histories // FILES)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        values = rng.integers(0, ITEMS, size=int(lengths.sum()), dtype=np.int64)
        table = pa.table({"items": pa.ListArray.from_arrays(offsets, values)})
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=65536)


def loaded(way, folder, batches, rank, size):
    """Prepare batches in one way and load some of them; return the times and the peak memory."""
    began = time.perf_counter()
    source = None
    if way == "parquet":
        histories = ParquetHistories(folder, pl.Series(range(ITEMS)))
        source = FragmentBatches(histories, **SETTINGS)
    elif way == "memory":
        lists = pl.concat(
            [pl.read_parquet(file, use_pyarrow=True)["items"] for file in sorted(folder.iterdir())]
        )
        source = SequenceBatches(Histories.from_ids(lists, pl.Series(range(ITEMS))), **SETTINGS)
        del lists
    opened = time.perf_counter()
    targets = 0
    if source is not None:
        for rows, _ in zip(source.epoch(0), range(batches), strict=False):
            targets += int(source.load(rows, rank, size).targets.sum())
    seconds = time.perf_counter() - opened
    status = Path("/proc/self/status").read_text()
    peak = 1024 * int(status.partition("VmHWM:")[2].split()[0])
    return {"open": opened - began, "load": seconds, "targets": targets, "peak": peak}


def main():
    """Measure all ways, each in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--histories", type=int, default=2_000_000)
    parser.add_argument("--batches", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    record = {"histories": given.histories, "items": ITEMS, "batches": given.batches}
    record |= {"machine": machine_facts(), "versions": version_facts()}
    ways = {"nothing": ("", 0, 1), "memory": ("memory", 0, 1), "parquet": ("parquet", 0, 1)}
    ways["parquet, first of two"] = ("parquet", 0, 2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, given.histories)
        record["bytes"] = sum(file.stat().st_size for file in folder.iterdir())
        for label, (way, rank, size) in ways.items():
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                record[label] = pool.apply(loaded, (way, folder, given.batches, rank, size))
            record[label]["peak"] -= record["nothing"]["peak"] if label != "nothing" else 0
            print(label, record[label], flush=True)
    one, all_targets = record["parquet, first of two"]["targets"], record["parquet"]["targets"]
    assert 0.4 < one / all_targets < 0.6
    if given.out is not None:
        given.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
