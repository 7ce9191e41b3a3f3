"""Measure the lists of a training on a GPU with `sidkit.evaluate`, and write a stored run.

    python store.py RUN FOLDER NAME RESULTS [--variant WORD] [--peak FLOPS]

RUN is the run directory with the Semantic IDs of the training, FOLDER the output of `tiger_beauty.sh`. The
result, with seen items excluded and included, is written to a directory below RESULTS/<dataset>.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from sidkit.data import load_dataset
from sidkit.evaluate import (
    Metrics,
    Predictions,
    Protocol,
    TargetRanks,
    machine_facts,
    measure,
    user_slices,
    version_facts,
)
from sidkit.report.collect import read_history
from sidkit.report.tables.stored import stored_name
from sidkit.run.config import build_config, read_tables, write_config
from sidkit.train import History

HEADER = """\
# Trained by benches/gpu/tiger_beauty.sh on one {device}, not by `sidkit run`: batches of {rows},
# {targets:,} targets per step. `batch_size` is the mean number of windows or prefixes per step. Learning-rate
# warm-up and decay follow the larger of two fractions: of the steps, and of the time budget.
"""


def lists_of(folder: Path, name: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Read items, int32 (m, k), and scores, f32 (m, k): minus the rank if only the order was written."""
    items = scores = None
    for file in sorted(folder.glob("lists*.npz")):
        arrays = np.load(file)
        if f"{name}/{part}.items" in arrays:
            items = arrays[f"{name}/{part}.items"].astype(np.int32)
        if f"{name}/{part}.scores" in arrays:
            scores = arrays[f"{name}/{part}.scores"].astype(np.float32)
    assert items is not None, f"no lists of {name} in {folder}"
    if scores is None:
        scores = np.tile(-np.arange(1, items.shape[1] + 1, dtype=np.float32), (len(items), 1))
    scores[items < 0] = -np.inf
    return items, scores


def recommender_options(training: dict[str, Any], batch_size: int, users: int) -> dict[str, Any]:
    """Return the options of the recommender that correspond to a training."""
    setting, steps = training["setting"], training["steps"]
    same = (
        "learning_rate",
        "weight_decay",
        "clip_norm",
        "weight_averaging",
        "seed",
        "label_smoothing",
        "token_masking",
    )
    return {
        "method": training["model"],
        **{name: value for name, value in training["sizes"].items() if name != "sizes"},
        **{name: setting[name] for name in same},
        "max_steps": steps,
        "batch_size": batch_size,
        "warmup_steps": round(setting["warmup"] * steps),
        "patience": 0,
        "evaluate_every_steps": max(1, steps // setting["evaluations"]),
        "validate_users": users,
        "precision": "bf16",
        "device": "cuda",
    }


def history_of(training: dict[str, Any]) -> History:
    """Return the course of a training in the form of `sidkit.train`."""
    history = History(
        model=training["model"],
        parameters=training["parameters"],
        evaluations=[
            {key: entry[key] for key in ("step", "epoch", "metrics", "seconds")}
            for entry in training["evaluations"]
        ],
        best_step=training["best_step"],
        **{key: training[key] for key in ("seconds", "tokens_per_second", "flops", "gemm_share")},
    )
    before, peak = 0, training["setting"]["learning_rate"]
    for entry in training["evaluations"]:
        if entry["step"] > before:
            history.steps.append(
                {
                    "step": entry["step"],
                    "epoch": entry["epoch"],
                    "loss": entry["loss"],
                    "lr": peak * 0.5 * (1 + np.cos(np.pi * min(1.0, entry["progress"]))),
                    "tokens_per_second": training["tokens_per_second"],
                    "flops": int(training["flops"] * (entry["step"] - before) / training["steps"]),
                    "gemm_share": round(training["gemm_share"], 4),
                    "seconds": training["seconds"] * entry["step"] / training["steps"],
                }
            )
            before = entry["step"]
    return history


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("name")
    parser.add_argument("results", type=Path)
    parser.add_argument("--variant", default="")
    parser.add_argument("--peak", type=float, default=0.0, help="operations/s of a product on the idle GPU")
    options = parser.parse_args()
    training = json.loads((options.folder / "histories.json").read_text())[options.name]
    if options.peak:  # concurrent trainings slow the measured product down
        training["gemm_share"] *= training["gemm_peak"] / options.peak
    method, seed = training["model"], training["setting"]["seed"]
    tables = read_tables(options.run / "run.toml")
    dataset = load_dataset(tables["data"]["source"])
    split = dataset.split("leave_last_out")
    lengths = split.train.lengths
    events = len(split.train.values) - int((lengths > 0).sum())
    prefixes = training["sizes"].get("encoder") == "bidirectional"
    windows = int((-(-(lengths - 1) // training["sizes"]["max_items"])).sum())
    rows = events if prefixes else windows
    batch_size = round(rows / training["steps_per_epoch"])
    tables["recommenders"] = {
        "use": [method],
        method: recommender_options(training, batch_size, len(split.validation)),
    }
    popularity = np.bincount(split.train.values, minlength=len(dataset.items))
    slices = user_slices(split.test.histories.lengths, popularity[split.test.targets])
    lists, results = [], []
    for part, exclude in (("seen_excluded", True), ("seen_included", False)):
        items, scores = lists_of(options.folder, options.name, part)
        users, targets = split.test.users, split.test.targets
        predictions = Predictions(method, users, items, scores, targets, exclude_seen=exclude)
        lists.append(predictions)
        results += measure(predictions, len(dataset.items), slices=slices, popularity=popularity)
    width = items.shape[1]
    protocol = Protocol(
        exclude_seen=(True, False),
        collisions=tables.get("ids", {}).get("collisions", "suffix"),
        candidates=len(dataset.items),
        beam=width,
        seeds=(seed,),
        users=len(split.test.users),
        dataset=dataset.name,
    )
    stages = json.loads((options.run / "stages.json").read_text())["stages"]
    gpu = {"gpu": training["device"], "concurrent_trainings": training["concurrent_trainings"]}
    metrics = Metrics(
        protocol,
        results,
        tokenizer=stages["tokenize"]["facts"],
        seconds={f"train.{method}": round(training["seconds"], 3)},
        machine=machine_facts() | gpu,
        versions=version_facts() | {"torch": training["torch"]},
        slices={"all": len(split.test.users)} | {name: int(mask.sum()) for name, mask in slices.items()},
        training={method: {key: training[key] for key in ("tokens_per_second", "gemm_share", "flops")}},
    )
    place = options.results / dataset.name / stored_name(method, options.variant, protocol, seed)
    place.mkdir(parents=True, exist_ok=True)
    metrics.save(place / "metrics.json")
    TargetRanks.of(lists, len(dataset.items)).save(place / "ranks.parquet")
    history_of(training).save(place / "history.json")
    read_history(place / "history.json")
    tables["decode"] = {"beam": width, "k": width}
    write_config(build_config(tables), place / "run.toml")
    kind = "prefixes of histories" if prefixes else "packed histories" if method == "tiger" else "histories"
    targets_per_step = round(events / training["steps_per_epoch"])
    header = HEADER.format(device=training["device"], rows=kind, targets=targets_per_step)
    (place / "run.toml").write_text(header + (place / "run.toml").read_text())
    for exclude in (True, False):
        result = metrics.find(method, "ndcg@10", exclude_seen=exclude)
        print(place, f"exclude_seen {exclude}", result.value, result.ci95)


if __name__ == "__main__":
    main()
