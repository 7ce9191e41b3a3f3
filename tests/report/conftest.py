import json
import math

import numpy as np
import polars as pl
import pytest

from sidkit.data import Dataset
from sidkit.evaluate import Metrics, Predictions, Protocol, measure, user_slices
from sidkit.ids import SidTable

# What a seller might call a product, or someone who wants to run a script in your browser.
TITLES = [
    "Soap & Water <b>bold</b>",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert('x')>",
    "</style></title></script><svg onload=alert(1)>",
    "rtl \u202eevil\u202c and \x00 control \x1b[31m",
    "{{7*7}} ${x} `y` ]]> <!-- -->",
    "日本語のタイトル",
    "long " * 200,
    "",
    None,
]


@pytest.fixture
def dataset():
    random = np.random.default_rng(0)
    events = [(f"<u{user}>", int(item)) for user in range(30) for item in random.choice(40, 6, replace=False)]
    items = pl.DataFrame(
        {"item_id": list(range(40)), "title": (TITLES + [f"item {i}" for i in range(40)])[:40]}
    )
    interactions = pl.DataFrame(
        {
            "user_id": [user for user, _ in events],
            "item_id": [item for _, item in events],
            "timestamp": list(range(len(events))),
        }
    )
    return Dataset("<i>shop</i>", items, interactions)


@pytest.fixture
def tokenizer_only(tmp_path, dataset):
    """A run that has come as far as Semantic IDs."""
    run = tmp_path / "run"
    run.mkdir()
    codes = np.stack([np.arange(40) % 4, np.arange(40) % 3, np.arange(40) // 20], axis=1)
    SidTable.from_codes(codes, dataset.item_ids, [4, 4, 2], collisions="suffix").save(run / "sids.parquet")
    (run / "run.toml").write_text('[data]\nsource = "nowhere"\nsplit = "leave_last_out"\n')
    return run


@pytest.fixture
def finished(tokenizer_only, dataset):
    """A run that has everything."""
    run = tokenizer_only
    test = dataset.split().test
    metrics = None
    for place, model in enumerate(["popularity", "sasrec", "tiger"]):
        slices = user_slices(test.histories.lengths)
        protocol = Protocol(
            candidates=40,
            users=len(test),
            dataset="<i>shop</i>",
            beam=20 if model == "tiger" else None,
            exclude_seen=(True, False),
        )
        results = []
        for exclude_seen in protocol.exclude_seen:
            made = predict(model, test, hits=0.2 * place, exclude_seen=exclude_seen)
            made.save(run / "predictions" / made.file_name)
            results += measure(made, 40, ks=(5, 10), slices=slices, popularity=np.arange(40))
        found = Metrics(
            protocol,
            results,
            machine={"cpu": "<cpu>", "cores": 2, "memory_bytes": 8_000_000_000, "system": "Linux"},
            versions={"sidkit": "0.1.0"},
            slices={"all": len(test)} | {name: int(mask.sum()) for name, mask in slices.items()},
        )
        metrics = found if metrics is None else metrics.merged(found)
        if model != "popularity":
            write_history(run, model)
    metrics.save(run / "metrics.json")
    record = {"seconds": 12.5, "peak_memory_bytes": 10**9, "facts": {}}
    (run / "stages.json").write_text(json.dumps({"stages": {"embed": record, "train.tiger": record}}))
    return run


def predict(model, test, hits, exclude_seen):
    random = np.random.default_rng(1 if exclude_seen else 2)
    items = np.array([random.permutation(40)[:10] for _ in range(len(test))], np.int32)
    for row in np.flatnonzero(random.random(len(test)) < hits):
        if test.targets[row] not in items[row]:
            items[row, random.integers(10)] = test.targets[row]
    scores = np.tile(-np.arange(10, dtype=np.float32), (len(test), 1))
    return Predictions(model, test.users, items, scores, test.targets, exclude_seen)


def write_history(run, model):
    steps = [
        {
            "step": s,
            "epoch": s / 50,
            "loss": 3 * math.exp(-s / 100) + 1,
            "lr": 1e-3,
            "tokens_per_second": 900.0,
        }
        for s in range(0, 300, 10)
    ]
    evaluations = [
        {"step": s, "epoch": s / 50, "metrics": {"ndcg@10": s / 9000, "recall@10": s / 5000}, "seconds": 1.0}
        for s in range(50, 300, 50)
    ]
    history = {
        "model": model,
        "steps": steps,
        "evaluations": evaluations,
        "best_step": 250,
        "parameters": 12345,
        "seconds": 42.0,
        "peak_memory_bytes": 10**9,
    }
    folder = run / "models" / model
    folder.mkdir(parents=True)
    (folder / "history.json").write_text(json.dumps(history))
