r"""Time and memory of every stage, for a catalogue of any size.

    python benches/python/catalogue_stages.py --items 1000000 10000000 \
        --out benches/record/catalogue-stages.json

Generates a `MarkovWorld` of five events per item, loads and splits it, fits RQ-KMeans with 3 x 1024 codewords
on a sample, encodes all items, makes Semantic IDs and a trie, trains the default recommender for some steps,
recommends, and evaluates the optimal recommendations for 100,000 users. Stages pass files to each other, and
every stage has a process of its own. `seconds` is its processor time, all threads together, without reading
what it needs; `peak_bytes` is the largest resident set from then on, mapped pages of files and the data it
needs included.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EVENTS_PER_ITEM, DIM, LEVELS, CODES, SAMPLE = 5, 64, 3, 1024, 200_000
STEPS, BATCH, ASKED, USERS, K = 30, 128, 1000, 100_000, 10


def world_of(items):
    from sidkit.data import MarkovWorld

    return MarkovWorld(items=items, dim=DIM)


def generate(items, directory):
    """Write items, vectors and interactions."""
    users = items * EVENTS_PER_ITEM // 20
    return lambda: world_of(items).write(directory / "world", users), "items"


def load(items, directory):
    """Read and check the dataset."""
    from sidkit import load_dataset

    return lambda: load_dataset(directory / "world"), "events"


def split(items, directory):
    """Split leave-last-out."""
    from sidkit import load_dataset

    data = load_dataset(directory / "world")
    return lambda: data.split("leave_last_out"), "events"


def check(items, directory):
    """Memory-map the vectors and check that they are finite."""
    import numpy as np

    from sidkit.embed import load_vectors

    path, ids = directory / "world" / "vectors.npy", np.arange(1, items + 1)
    return lambda: load_vectors(path, ids, memory_map=True), "items"


def fit(items, directory):
    """Fit RQ-KMeans on a sample of the vectors."""
    from sidkit import RQKMeans

    tokenizer = RQKMeans(LEVELS, CODES, subsample=SAMPLE)
    return lambda: tokenizer.fit(vectors(items, directory)).save(directory / "tokenizer"), "sample"


def encode(items, directory):
    """Encode the memory-mapped vectors."""
    import numpy as np

    from sidkit import load_tokenizer

    tokenizer = load_tokenizer(directory / "tokenizer")
    return lambda: np.save(directory / "codes.npy", tokenizer.encode(vectors(items, directory))), "items"


def table(items, directory):
    """Resolve collisions and write the table of Semantic IDs."""
    import numpy as np

    from sidkit import SidTable

    codes = np.load(directory / "codes.npy")

    def make():
        ids = np.arange(1, items + 1)
        SidTable.from_codes(codes, ids, [CODES] * LEVELS).save(directory / "sids.parquet")

    return make, "items"


def trie(items, directory):
    """Build the trie."""
    from sidkit import SidTable

    sids = SidTable.load(directory / "sids.parquet")
    return lambda: sids.trie, "items"


def train(items, directory):
    """Train the default recommender for 30 steps of 128 histories, and write it."""
    from sidkit import RQTransformer, SidTable, load_dataset
    from sidkit.train.memory import release_free_memory

    histories = load_dataset(directory / "world").split("leave_last_out").train
    sids = SidTable.load(directory / "sids.parquet")
    release_free_memory()

    def make():
        model = RQTransformer(d_model=128, max_items=20, max_steps=STEPS, device="cpu")
        model.fit(histories, sids=sids, item_vectors=vectors(items, directory)).save(directory / "model")

    return make, "histories"


def recommend(items, directory):
    """Recommend to 1,000 users with 50 beams."""
    import numpy as np

    from sidkit import load_dataset, load_model
    from sidkit.train.memory import release_free_memory

    test = load_dataset(directory / "world").split("leave_last_out").test.take(np.arange(ASKED))
    model = load_model(directory / "model")
    release_free_memory()
    return lambda: model.recommend(test, k=K), "asked"


def evaluate(items, directory):
    """Rank and evaluate the optimal recommendations for 100,000 users."""
    import numpy as np

    from sidkit import load_dataset
    from sidkit.evaluate import Predictions, user_metrics

    data, world = load_dataset(directory / "world"), world_of(items)
    test = data.split("leave_last_out").test
    test = test.take(np.sort(np.random.default_rng(0).choice(len(test), min(USERS, len(test)), False)))

    def measure():
        last = test.histories.values[test.histories.offsets[1:] - 1]
        predictions = Predictions(
            "optimal", test.users, *world.best_items(last, K), test.targets, exclude_seen=False
        )
        recall = user_metrics(predictions, items, (K,))[f"recall@{K}"].mean()
        assert abs(recall - world.expected_recall(K)) < 0.02, "wrong recall"

    return measure, "users"


STAGES = {
    each.__name__: each
    for each in (generate, load, split, check, fit, encode, table, trie, train, recommend, evaluate)
}


def vectors(items, directory):
    import numpy as np

    return np.load(directory / "world" / "vectors.npy", mmap_mode="r")


def peak():
    """Return the largest resident set since the last reset, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def measure(stage, items, directory):
    """Run one stage in this process."""
    work, unit = STAGES[stage](items, directory)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    began = time.process_time()
    result = work()
    seconds = time.process_time() - began
    events = items * EVENTS_PER_ITEM
    rows = {"items": items, "events": events, "sample": min(SAMPLE, items), "users": min(USERS, items // 4)}
    rows |= {"histories": STEPS * BATCH, "asked": ASKED}
    return {
        "stage": stage,
        "unit": unit,
        "rows": rows[unit],
        "seconds": seconds,
        "rows_per_second": rows[unit] / seconds,
        "peak_bytes": peak(),
        **({"trie_bytes": result.nbytes} if stage == "trie" else {}),
    }


def main():
    """Run the stages, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--directory", type=Path, help="where to keep the files; by default they are removed")
    parser.add_argument("--out", type=Path, help="where to keep the figures as JSON")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.stages[0], given.items[0], given.directory)))
        return
    records = []
    with tempfile.TemporaryDirectory() as temporary:
        for items in given.items:
            directory = (given.directory or Path(temporary)) / str(items)
            directory.mkdir(parents=True, exist_ok=True)
            records.append({"items": items, "stages": run(given.stages, items, directory)})
            if given.directory is None:
                shutil.rmtree(directory)
            if given.out is not None:
                keep(given.out, records)


def run(stages, items, directory):
    """Run stages for one size, each in a process of its own."""
    print(f"{items:,} items")
    print("stage            rows            s       rows/s   peak GB")
    figures = []
    for stage in stages:
        command = [sys.executable, __file__, "--measure", "--items", str(items)]
        command += ["--stages", stage, "--directory", str(directory)]
        ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
        found = json.loads(ran.stdout)
        figures.append(found)
        print(
            f"{stage:<10}{found['rows']:>12,} {found['unit']:<7}{found['seconds']:>8.1f}"
            f"{found['rows_per_second']:>13,.0f}{found['peak_bytes'] / 1e9:>10.2f}",
            flush=True,
        )
    return figures


def keep(path, records):
    """Write the record of the sizes measured so far."""
    from sidkit.evaluate import machine_facts, version_facts

    facts = {"machine": machine_facts(), "versions": version_facts()}
    shape = {"dim": DIM, "levels": LEVELS, "codebook_size": CODES, "events_per_item": EVENTS_PER_ITEM}
    path.write_text(json.dumps({**facts, **shape, "figures": records}, indent=1) + "\n")


if __name__ == "__main__":
    main()
