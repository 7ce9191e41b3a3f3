"""Format fuzzing of the files of the Python side: each is damaged and read again.

A reader may refuse a damaged file with an error of sidkit or of the operating system. A file that sidkit
wrote has a checksum, so that a reader which accepts it must return what was written. Datasets and vectors of
users have none; their readers may return anything, but may not fail from the inside.
"""

import json
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sidkit.data import load_dataset
from sidkit.data.synthetic import cyclic_world
from sidkit.embed import load_vectors
from sidkit.errors import SidkitError
from sidkit.evaluate import Predictions, TargetRanks
from sidkit.ids import SidTable
from sidkit.models import SASRecNetwork, load_network, save_network
from sidkit.recommenders import ItemKNN, Popularity, load_model
from sidkit.run import RunDirectory, StageRecord
from sidkit.tokenizers import ActionPiece, RQKMeans, load_tokenizer
from sidkit.train.checkpoint import TrainingState

__all__ = ["damaged", "formats", "run"]


def damaged(data, rng):
    """Return a damaged copy of bytes."""
    changed = bytearray(data)
    place = int(rng.integers(len(changed)))
    kind = rng.integers(8)
    if kind <= 2:
        changed[place] ^= 1 << int(rng.integers(8))
    elif kind == 3:
        del changed[place:]
    elif kind == 4:
        changed[place : place + int(rng.integers(1, 64))] = b"\0" * int(rng.integers(0, 64))
    elif kind == 5:
        other = int(rng.integers(len(changed)))
        changed[place : place + 16] = changed[other : other + 16]
    elif kind == 6:
        changed[place:place] = bytes(rng.integers(0, 256, int(rng.integers(1, 32)), dtype=np.uint8))
    else:
        numbers = [0, 1, 255, 2**31 - 1, 2**63, 2**64 - 1]
        changed[place : place + 8] = numbers[rng.integers(6)].to_bytes(8, "little")
    return bytes(changed)


def formats(directory):
    """Files to damage: name, path, and a function that reads it and returns something comparable."""
    directory = Path(directory)
    world = cyclic_world(users=20, items=12, clusters=3, dim=4, max_events=6)
    split = world.dataset.split("leave_last_out")
    tokenizer = RQKMeans(2, 3, iterations=2).fit(world.vectors)
    tokenizer.save(directory / "tokenizer")
    table = tokenizer.semantic_ids(world.vectors, world.dataset.item_ids)
    table.save(directory / "table.parquet")
    codes = np.stack([np.arange(12) % 3, np.arange(12) // 3], axis=1)
    ActionPiece(12).fit(split.train, codes).save(directory / "pieces")
    Popularity().fit(split.train).save(directory / "popularity")
    ItemKNN().fit(split.train).save(directory / "item_knn")
    lists = Predictions(
        "m",
        np.arange(3, dtype=np.int32),
        np.array([[1, 2]] * 3, np.int32),
        np.array([[0.5, 0.2]] * 3, np.float32),
        np.array([1, 2, 3], np.int32),
    )
    lists.save(directory / "lists.parquet")
    TargetRanks.of([lists], 5).save(directory / "ranks.parquet")
    save_network(SASRecNetwork(12, d_model=4, layers=1, heads=1), directory / "network")
    weights = {"w": nn.Parameter(torch.arange(3.0)).data}
    state = TrainingState({"a": 1}, 3, {"model": "m"}, weights, {}, {"w": (torch.ones(3), torch.ones(3))})
    state.save(directory / "checkpoint")
    run_directory = directory / "run"
    run_directory.mkdir()
    (run_directory / "run.toml").write_text("")
    with RunDirectory(run_directory) as made:
        made.finish("data", StageRecord("f", {"data.source": "x"}, {}, {}))
    source = directory / "dataset"
    source.mkdir()
    world.dataset.interactions.write_csv(source / "interactions.csv")
    world.dataset.items.write_parquet(source / "items.parquet")
    np.save(directory / "vectors.npy", world.vectors)

    def model(name):
        loaded = load_model(directory / name)
        return loaded.item_ids_.to_list(), [part.tolist() for part in loaded.recommend([loaded.item_ids_[0]])]

    def network():
        loaded = load_network(SASRecNetwork, directory / "network")
        return {name: tensor.tolist() for name, tensor in loaded.state_dict().items()}

    def checkpoint():
        loaded = TrainingState.load(directory / "checkpoint", {"a": 1})
        return loaded.step, loaded.history, loaded.weights["w"].tolist()

    def pieces():
        loaded = ActionPiece.load(directory / "pieces")
        return loaded.merges_.tolist(), loaded.features_.tolist()

    def ranks():
        loaded = TargetRanks.load(directory / "ranks.parquet")
        return {key: column.tolist() for key, column in loaded.ranks.items()}

    def lists_again():
        loaded = Predictions.load(directory / "lists.parquet")
        return loaded.items.tolist(), loaded.scores.tolist(), loaded.targets.tolist()

    def table_again():
        loaded = SidTable.load(directory / "table.parquet")
        return loaded.item_ids.to_list(), loaded.tokens.tolist(), loaded.sizes

    def ignored(read):
        def call():
            read()

        return call

    item_ids = world.dataset.item_ids
    return [
        ("tokenizer", directory / "tokenizer", lambda: load_tokenizer(directory / "tokenizer").fingerprint),
        ("action_piece", directory / "pieces", pieces),
        ("sid_table", directory / "table.parquet", table_again),
        ("model_description", directory / "popularity/model.json", lambda: model("popularity")),
        ("model_items", directory / "popularity/items.parquet", lambda: model("popularity")),
        ("model_arrays", directory / "item_knn/model.safetensors", lambda: model("item_knn")),
        ("network", directory / "network", network),
        ("checkpoint", directory / "checkpoint", checkpoint),
        ("predictions", directory / "lists.parquet", lists_again),
        ("ranks", directory / "ranks.parquet", ranks),
        ("stages_json", run_directory / "stages.json", ignored(lambda: RunDirectory(run_directory))),
        ("dataset_csv", source / "interactions.csv", ignored(lambda: load_dataset(source))),
        ("dataset_parquet", source / "items.parquet", ignored(lambda: load_dataset(source))),
        (
            "vectors_npy",
            directory / "vectors.npy",
            ignored(lambda: load_vectors(directory / "vectors.npy", item_ids)),
        ),
    ]


def run(seconds, seed):
    """Damage files until the time is over; the formats take turns."""
    rng = np.random.default_rng(seed)
    counts = Counter(bad_from_inside=0, bad_changed=0)
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    directory = Path(tempfile.mkdtemp(dir=place))
    try:
        files = [(name, path, read, path.read_bytes(), read()) for name, path, read in formats(directory)]
        end = time.monotonic() + seconds
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            while time.monotonic() < end:
                for name, path, read, data, expected in files:
                    _attack(name, path, read, (data, expected), (rng, counts))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return dict(counts)


def _attack(name, path, read, known, run_of):
    data, expected = known
    rng, counts = run_of
    changed = damaged(data, rng)
    path.write_bytes(changed)
    counts[name] += 1
    try:
        found = read()
    except (SidkitError, OSError, MemoryError):
        counts["refused"] += 1
    except Exception:
        counts["bad_from_inside"] += 1
        print(name, traceback.format_exc()[-900:], file=sys.stderr)
    else:
        counts["accepted"] += 1
        if json.dumps(str(found)) != json.dumps(str(expected)):
            counts["bad_changed"] += 1
            print(name, "accepted with other content", file=sys.stderr)
    finally:
        path.write_bytes(data)
