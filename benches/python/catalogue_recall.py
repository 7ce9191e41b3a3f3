r"""Recall of the default recommender in a large catalogue whose optimal Recall@10 is known.

    python benches/python/catalogue_recall.py --items 1000000 --steps 1000 \
        --out benches/record/catalogue-recall.json

Generates a `MarkovWorld` of five events per item, fits RQ-KMeans with 3 x 1024 codewords on a sample, trains
an RQTransformer on one thread, and compares its Recall@10 on test users, seen items included, with that of
the optimal ranking for the same users, its expectation, and the most popular items. `curve` holds Recall@10
of 2,000 validation users against the processor minutes of the training, evaluations included.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

EVENTS_PER_ITEM, DIM, LEVELS, SAMPLE, USERS, K = 5, 64, 3, 200_000, 10_000, 10


def measure(given, directory):
    """Train and evaluate in this process."""
    import numpy as np
    import torch

    from sidkit import RQKMeans, RQTransformer, load_dataset
    from sidkit.data import MarkovWorld
    from sidkit.embed import load_vectors
    from sidkit.train import ProgressBar
    from sidkit.train.memory import peak_memory_bytes

    torch.set_num_threads(1)
    world = MarkovWorld(items=given.items, dim=DIM)
    if not (directory / "items.parquet").exists():
        world.write(directory, given.items * EVENTS_PER_ITEM // 20)
    data = load_dataset(directory)
    split = data.split("leave_last_out")
    x = load_vectors(directory / "vectors.npy", data.item_ids, memory_map=True)
    size = 256 if given.items <= 20_000 else 1024
    began = time.process_time()
    tokenizer = RQKMeans(LEVELS, size, subsample=SAMPLE, threads=1).fit(x)
    sids = tokenizer.semantic_ids(x, data.item_ids)
    tokenizing = time.process_time() - began
    began = time.process_time()
    model = RQTransformer(
        d_model=128,
        dropout=given.dropout,
        learning_rate=given.learning_rate,
        max_items=20,
        max_steps=given.steps,
        evaluate_every_steps=max(1, given.steps // 10),
        validate_exclude_seen=False,
        validate_users=2000,
        patience=0,
        device="cpu",
    )
    model.fit(
        split.train, sids=sids, item_vectors=x, validation=split.validation, callbacks=[ProgressBar(60)]
    )
    training = time.process_time() - began
    rows = np.random.default_rng(0).choice(len(split.test), min(USERS, len(split.test)), replace=False)
    test = split.test.take(np.sort(rows))
    began = time.process_time()
    evaluation = model.evaluate(test, ks=(K,), exclude_seen=False)
    decoding = time.process_time() - began
    last = test.histories.values[test.histories.offsets[1:] - 1]
    optimal = (world.best_items(last, K)[0] == test.targets[:, None]).any(1).mean()
    recall = evaluation[f"recall@{K}"]
    return {
        "items": given.items,
        "steps": given.steps,
        "users": len(test),
        "recall": recall,
        "interval": evaluation.result(f"recall@{K}").ci95,
        "optimal_recall": float(optimal),
        "expected_optimal_recall": world.expected_recall(K),
        "popularity_recall": world.popularity_recall(K),
        "share_of_optimal": recall / float(optimal),
        "tokenizing_cpu_minutes": tokenizing / 60,
        "training_cpu_minutes": training / 60,
        "decoding_cpu_minutes": decoding / 60,
        "peak_bytes": peak_memory_bytes(),
        "curve": [
            {
                "step": each["step"],
                "cpu_minutes": each["cpu_seconds"] / 60,
                "recall": each["metrics"][f"recall@{K}"],
            }
            for each in model.history_.evaluations
        ],
    }


def main():
    """Measure one catalogue."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--directory", type=Path, help="where to keep the world; by default it is removed")
    parser.add_argument("--out", type=Path, help="where to keep the figures as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        found = measure(given, given.directory or Path(temporary) / "world")
    print(json.dumps(found, indent=1))
    if given.out is not None:
        from sidkit.evaluate import machine_facts, version_facts

        facts = {"machine": machine_facts(), "versions": version_facts()}
        given.out.write_text(json.dumps({**facts, **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
