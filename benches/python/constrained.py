"""Time of recommendations from 1 % of a catalogue against recommendations from all of it; lists are checked.

The networks are hardly trained, which does not change their cost. The condition on the item table is
evaluated before the timed calls, as it is once for each condition.

    python benches/python/constrained.py --record benches/record/constrained.json
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch

import sidkit
from sidkit.data import Catalogue, Histories
from sidkit.evaluate import machine_facts, version_facts

SIZES = (256, 256, 256)
ALLOWED_PERCENT = 1
K = 10


def main() -> None:
    """Measure a scoring model and a model with beam search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=12_000)
    parser.add_argument("--users", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    catalogue, histories, sids = world(options.items, options.users, random)
    start = time.perf_counter()
    allowed = catalogue.where((pl.col("stock") > 0) & (pl.col("group") == 7))
    seconds = {"where": time.perf_counter() - start}
    start = time.perf_counter()
    assert catalogue.where((pl.col("stock") > 0) & (pl.col("group") == 7)) is allowed
    seconds["where_again"] = time.perf_counter() - start
    assert len(allowed) == options.items * ALLOWED_PERCENT // 100
    figures = []
    for model in (
        sidkit.SASRec(max_steps=1),
        sidkit.TIGER(max_steps=1),
    ):
        model.fit(histories, sids=sids)
        figures.append(measure(model, histories, allowed, options.repeats))
        print(figures[-1])
    if options.record:
        record = {
            "machine": machine_facts(),
            "versions": version_facts(),
            "threads": 1,
            "items": options.items,
            "allowed": len(allowed),
            "users": options.users,
            "k": K,
            "seconds": {name: round(value, 6) for name, value in seconds.items()},
            "figures": figures,
        }
        options.record.write_text(json.dumps(record, indent=1) + "\n")


def world(items, users, random):
    """Make a catalogue of which 1 % meet the condition, histories, and Semantic IDs."""
    numbers = np.arange(items)
    table = {"item_id": numbers, "group": numbers % 50, "stock": numbers // 50 % 2}
    lengths = random.integers(5, 30, users)
    rows = random.integers(0, items, lengths.sum())
    split = np.split(rows, np.cumsum(lengths)[:-1])
    histories = Histories.from_ids([row.tolist() for row in split], pl.Series(numbers))
    sids = sidkit.SidTable.from_codes(random.integers(0, 256, (items, 3)), numbers, SIZES)
    return Catalogue(table), histories, sids


def measure(model, histories, allowed, repeats):
    """Time both in turn, and keep the least CPU time of each."""
    best = {"all": np.inf, "constrained": np.inf}
    for _ in range(repeats):
        for name, allow in (("all", None), ("constrained", allowed)):
            start = time.process_time()
            ids, scores = model.recommend(histories, k=K, allow=allow)
            best[name] = min(best[name], time.process_time() - start)
            assert np.isfinite(scores).all() and (ids >= 0).all(), "a list is not full"
            if allow is not None:
                assert set(ids.ravel().tolist()) <= set(allow.items().tolist())
    if model.method == "sasrec":
        check(model, histories, allowed)
    return {
        "model": model.method,
        "cpu_seconds_all": round(best["all"], 4),
        "cpu_seconds_constrained": round(best["constrained"], 4),
        "ratio": round(best["constrained"] / best["all"], 3),
    }


def check(model, histories, allowed, rows=20):
    """Compare with the complete ranking, filtered afterwards."""
    some = histories.take(np.arange(rows))
    ids, _ = model.recommend(some, k=K, allow=allowed)
    every, _ = model.recommend(some, k=len(histories.item_ids))
    permitted = np.isin(every, allowed.items())
    for row in range(rows):
        assert ids[row].tolist() == every[row, permitted[row]][:K].tolist(), f"wrong list in row {row}"


if __name__ == "__main__":
    main()
