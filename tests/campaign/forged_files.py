"""Files of the Python side that were changed on purpose: their checksums are true, their content is not.

Whoever can write a file can also write its checksum. Headers, settings, arrays and columns are changed one at
a time, all checksums are made again, and the file is read and used. A reader may refuse it with an error of
sidkit, or accept it; then its use may give anything, or refuse it. No other exception may come out, no read
may take long, and none may take more memory than the process has.
"""

import hashlib
import json
import resource
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from tests.campaign.parts.forging import attempt, changed, write_sealed
from tests.campaign.topics import directory
from tests.search.worlds import encode_tokens, encode_words, topic_collection
from tests.worlds import SMALL, small_recommender, small_world
from torch import nn

from sidkit.errors import SidkitError
from sidkit.evaluate import Metrics, Predictions, TargetRanks
from sidkit.ids import SidTable
from sidkit.models import SASRecNetwork, load_network, save_network
from sidkit.recommenders import load_model
from sidkit.recommenders.storage import checksum_of
from sidkit.run import RunDirectory, StageRecord
from sidkit.search import RETRIEVERS, load_retriever
from sidkit.tokenizers import ActionPiece, load_tokenizer
from sidkit.tokenizers.registry import TOKENIZERS
from sidkit.train.checkpoint import TrainingState

__all__ = ["run"]

#: Address space of the process beyond what it has at the start.
MEMORY = 8 << 30


class Format(NamedTuple):
    """A kind of file: its name, the file to change, and a function that reads and uses it."""

    name: str
    path: Path
    read: Callable[[], object]


def write_forged(format: Format, data: bytes) -> None:
    """Write a changed file, and make all checksums true."""
    write_sealed(format.path, data)
    for description in descriptions(format.path):
        described = json.loads(description.read_bytes())
        if not isinstance(described, dict):
            continue
        if format.path != description and isinstance(described.get("files"), dict):
            for name in described["files"]:
                file = description.parent / name
                described["files"][name] = hashlib.sha256(file.read_bytes()).hexdigest()
        if "checksum" in described:
            del described["checksum"]
            described["checksum"] = checksum_of(described)
        description.write_text(json.dumps(described), encoding="utf-8", errors="surrogatepass")


def descriptions(path: Path) -> list[Path]:
    """Return the files that hold the checksum of a file, the innermost first; a description holds its own."""
    named = [parent / name for parent in list(path.parents)[:2] for name in ("model.json", "retriever.json")]
    return [each for each in named if each.is_file()]


def formats(folder: Path) -> list[Format]:
    """Write one file of each kind."""
    world = small_world(users=40)
    found: list[Format] = []

    def of_directory(name: str, path: Path, read: Callable[[], object]) -> None:
        for file in sorted(path.rglob("*")):
            if (
                file.is_file()
                and file.suffix in (".json", ".parquet", ".safetensors")
                and file.stem != "inference"
            ):
                found.append(Format(f"{name}/{file.name}", file, read))

    for method in SMALL:
        path = folder / method
        steps = {} if "batch_size" not in SMALL[method] else {"max_steps": 2, "min_steps": 1, "epochs": 1.0}
        allowed = small_recommender(method).get_params() if steps else {}
        steps = {key: value for key, value in steps.items() if key in allowed}
        world.fit(small_recommender(method, **steps)).save(path)

        def recommend(path: Path = path) -> object:
            return load_model(path).recommend([world.walk(0, 3), []], k=3)

        of_directory(method, path, recommend)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(64, 8)).astype(np.float32)
    small = {
        "levels": 2,
        "codebook_size": 4,
        "max_steps": 2,
        "epochs": 1,
        "steps": 2,
        "bits": 4,
        "iterations": 2,
    }
    for method in TOKENIZERS:
        try:
            cls: Any = TOKENIZERS[method]
            known = cls().get_params()
            tokenizer = cls(**{key: value for key, value in small.items() if key in known})
            tokenizer.fit(vectors)
            tokenizer.save(folder / f"{method}.tokenizer")
            tokenizer.encode(vectors)
        except (SidkitError, TypeError):
            continue  # it needs more than vectors
        path = folder / f"{method}.tokenizer"
        found.append(
            Format(f"tokenizer/{method}", path, lambda path=path: load_tokenizer(path).encode(vectors))
        )
    collection = topic_collection(documents=16, queries=16, foreign=False)
    settings: dict[str, dict[str, Any]] = {"bm25": {}, "dense": {}, "sid": {"epochs": 1, "beam": 4}}
    for method, chosen in settings.items():
        path = folder / f"{method}.retriever"
        RETRIEVERS[method](**chosen).fit(collection).save(path)
        of_directory(
            f"retriever/{method}", path, lambda path=path: load_retriever(path).search(["d3w0 d3w1"], k=3)
        )
    world.sids.save(folder / "table.parquet")

    def table() -> object:
        read = SidTable.load(folder / "table.parquet")
        return read.trie, read.packed, read.items("0")

    found.append(Format("sid_table", folder / "table.parquet", table))
    codes = np.stack([np.arange(24) % 3, np.arange(24) // 3], axis=1)
    ActionPiece(12).fit(world.split.train, codes).save(folder / "pieces")
    found.append(
        Format(
            "action_piece", folder / "pieces", lambda: ActionPiece.load(folder / "pieces").encode([1, 2, 3])
        )
    )
    lists = Predictions(
        "m",
        np.arange(3, dtype=np.int32),
        np.array([[1, 2]] * 3, np.int32),
        np.array([[0.5, 0.2]] * 3, np.float32),
        np.array([1, 2, 3], np.int32),
    )
    lists.save(folder / "lists.parquet")
    found.append(
        Format("predictions", folder / "lists.parquet", lambda: Predictions.load(folder / "lists.parquet"))
    )
    TargetRanks.of([lists], 5).save(folder / "ranks.parquet")
    found.append(
        Format("ranks", folder / "ranks.parquet", lambda: TargetRanks.load(folder / "ranks.parquet"))
    )
    save_network(SASRecNetwork(12, d_model=4, layers=1, heads=1), folder / "network")
    found.append(
        Format("network", folder / "network", lambda: load_network(SASRecNetwork, folder / "network"))
    )
    weights = {"w": nn.Parameter(torch.arange(3.0)).data}
    state = TrainingState({"a": 1}, 3, {"model": "m"}, weights, {}, {"w": (torch.ones(3), torch.ones(3))})
    state.save(folder / "checkpoint")
    found.append(
        Format(
            "checkpoint", folder / "checkpoint", lambda: TrainingState.load(folder / "checkpoint", {"a": 1})
        )
    )
    metrics = folder / "metrics.json"
    world.fit(small_recommender("popularity")).evaluate(world.split.test).metrics.save(metrics)
    found.append(Format("metrics", metrics, lambda: Metrics.load(metrics)))
    directory_of_run = folder / "run"
    directory_of_run.mkdir()
    (directory_of_run / "run.toml").write_text("")
    with RunDirectory(directory_of_run) as made:
        made.finish("data", StageRecord("f", {"data.source": "x"}, {}, {}))
    stages = directory_of_run / "stages.json"
    found.append(Format("stages", stages, lambda: RunDirectory(directory_of_run).records))
    return found


def run(seconds: float, seed: int) -> dict[str, int]:
    """Forge files until the time is over; the formats take turns."""
    rng = np.random.default_rng(seed)
    counts = Counter(bad_from_inside=0, bad_slow=0)
    with directory() as folder, warnings.catch_warnings(), small_encoder():
        warnings.simplefilter("ignore")
        found = formats(Path(folder))
        kept = {file: file.read_bytes() for format in found for file in siblings(format.path)}
        for format in found:  # unchanged, they must be accepted; libraries load what they need
            format.read()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                for format in found:
                    attack(format, kept, rng, counts)
                    if time.monotonic() > end:
                        break
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return dict(counts)


def siblings(path: Path) -> list[Path]:
    """Return the files whose checksums depend on this one, and itself."""
    return [path, *(each for each in descriptions(path) if each != path)]


def attack(format: Format, kept: dict[Path, bytes], rng: np.random.Generator, counts: Counter[str]) -> None:
    """Forge one file, read and use it, and restore it."""
    data = changed(kept[format.path], format.path.name, rng)
    write_forged(format, data)
    counts["files"] += 1
    try:
        attempt(format.name, format.read, counts)
    finally:
        for file in siblings(format.path):
            file.write_bytes(kept[file])


@contextmanager
def small_encoder() -> Iterator[None]:
    """Encode texts without a model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sidkit.search.encoder.embed_texts", encode_words)
        patch.setattr("sidkit.search.retrievers.dsi.token_vectors", encode_tokens)
        yield
