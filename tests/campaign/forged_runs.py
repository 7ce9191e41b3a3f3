"""Run directories whose files were changed on purpose, and whose records say that nothing was changed.

One file of a finished run is changed at a time, its digest in `stages.json` and its own checksum are made
again, and the run is opened, queried and reported on. It may be refused with an error of sidkit, or give
anything; no other exception may come out.
"""

import hashlib
import io
import json
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from rich.console import Console
from tests.campaign.parts.forging import attempt, changed, write_sealed
from tests.campaign.topics import directory

from sidkit import open_run
from sidkit.data import cyclic_world
from sidkit.evaluate import Predictions
from sidkit.recommenders.storage import checksum_of
from sidkit.report import print_report
from sidkit.run import build_config, run_pipeline

SUFFIXES = {".json", ".parquet", ".safetensors"}
NETWORK = ("d_model=8", "heads=1", "layers=1", "max_steps=3", "min_steps=1", 'precision="f32"')
SETTINGS = (
    "tokenize.levels=2",
    "tokenize.codebook_size=4",
    'recommenders.use=["item_knn", "rqtransformer"]',
    *(f"recommenders.rqtransformer.{setting}" for setting in NETWORK),
    "decode.beam=5",
    "decode.k=5",
    "evaluate.ks=[5]",
    "evaluate.bootstrap_samples=10",
)


def run(seconds: float, seed: int) -> dict[str, int]:
    """Forge files of a run until the time is over; they take turns."""
    rng = np.random.default_rng(seed)
    counts = Counter(bad_from_inside=0, bad_slow=0)
    with directory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made, item = make_run(folder)
        use(made, item)
        files = [file for file in sorted(made.rglob("*")) if file.suffix in SUFFIXES]
        # Those of the inference are the subject of the tests of the core.
        files = [file for file in files if file.stem != "inference"]
        kept = {file: file.read_bytes() for file in files}
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for file in files:
                attack(made, item, file, (kept, rng, counts))
                if time.monotonic() > end:
                    break
    return dict(counts)


def make_run(folder: Path) -> tuple[Path, str]:
    """Run a small pipeline; return its directory and the id of an item."""
    world = cyclic_world(users=40, items=24, dim=8, max_events=8)
    world.dataset.items.write_parquet(folder / "items.parquet")
    world.dataset.interactions.write_parquet(folder / "interactions.parquet")
    np.save(folder / "vectors.npy", world.vectors)
    settings = {"data": {"source": str(folder)}, "embed": {"vectors": str(folder / "vectors.npy")}}
    run_pipeline(build_config(settings, assignments=SETTINGS), folder / "run")
    return folder / "run", world.dataset.item_ids[0]


def use(path: Path, item: str) -> None:
    """Open a run, and ask it everything."""
    opened = open_run(path)
    for model in opened.models:
        opened.recommender(model).recommend([item], k=3)
    opened.recommend([item], k=3)
    opened.sids.items(opened.sid(item))
    opened.title(item)
    for file in sorted((path / "predictions").glob("*.parquet")):
        Predictions.load(file)
    print_report(path, console=Console(file=io.StringIO()))


def attack(path: Path, item: str, file: Path, known: tuple[dict, np.random.Generator, Counter]) -> None:
    """Forge one file, use the run, and restore it."""
    kept, rng, counts = known
    write_sealed(file, changed(kept[file], file.name, rng))
    counts["files"] += 1
    for description in (file.parent / "model.json", path / "stages.json"):
        if description.is_file() and description != file:
            record(description, file)
    try:
        attempt(file.name, lambda: use(path, item), counts)
    finally:
        for each, data in kept.items():
            each.write_bytes(data)


def record(description: Path, file: Path) -> None:
    """Put the digest of a file, and that of the description of its model, into a description."""
    content = json.loads(description.read_bytes())
    if description.name == "model.json":
        content["files"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
        content.pop("checksum", None)
        content["checksum"] = checksum_of(content)
    else:
        for stage in content["stages"].values():
            for name in stage["outputs"]:
                if (description.parent / name).is_file():
                    digest = hashlib.sha256((description.parent / name).read_bytes()).hexdigest()
                    stage["outputs"][name] = digest
    description.write_text(json.dumps(content), encoding="utf-8")
