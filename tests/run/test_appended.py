"""New items in a finished run, by its frozen tokenizer."""

import numpy as np
import polars as pl
import pytest
from tests.run.world import write_world

from sidkit import Trie, open_run
from sidkit.errors import ConfigError, DataError, RunDirectoryError
from sidkit.ids import SidTable
from sidkit.run import RunDirectory, build_config, run_pipeline
from sidkit.run.appended import append_to_run, read_appended
from sidkit.tokenizers import load_tokenizer

SETTINGS = (
    "tokenize.levels=2",
    "tokenize.codebook_size=8",
    'recommenders.use=["popularity", "tiger"]',
    "recommenders.tiger.d_model=16",
    "recommenders.tiger.encoder_layers=1",
    "recommenders.tiger.decoder_layers=1",
    "recommenders.tiger.heads=1",
    "recommenders.tiger.d_head=16",
    "recommenders.tiger.d_ff=16",
    "recommenders.tiger.max_steps=2",
    "recommenders.tiger.evaluate_every_steps=2",
    "decode.beam=60",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("appended")
    world = write_world(folder / "world")
    given = [*SETTINGS, f'embed.vectors="{world / "vectors.npy"}"', f'data.source="{world}"']
    run_pipeline(build_config(assignments=given), folder / "run", until="train")
    return folder


@pytest.fixture
def run(finished, tmp_path):
    import shutil

    return shutil.copytree(finished / "run", tmp_path / "run")


def new_items(folder, *names, seed=0):
    """A file of items and one of vectors."""
    x = np.random.default_rng(seed).normal(size=(len(names), np.load(folder / "world/vectors.npy").shape[1]))
    pl.DataFrame({"item_id": names, "title": [f"a new {name}" for name in names]}).write_csv(
        folder / "new.csv"
    )
    np.save(folder / "new.npy", x.astype(np.float32))
    return folder / "new.csv", folder / "new.npy", x.astype(np.float32)


def test_new_items_join_and_nothing_else_moves(finished, run):
    before = SidTable.load(run / "sids.parquet")
    files = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    items, vectors, x = new_items(finished, "late-1", "late-2")
    found = append_to_run(run, items, vectors=vectors)
    assert found.count == 2
    assert {file: file.read_bytes() for file in files} == files
    table = SidTable.load(found.sids)
    assert table.tokens[: len(before)].tolist() == before.tokens.tolist()
    if not found.moved:
        assert table.codes[-2:].tolist() == load_tokenizer(run / "tokenizer.safetensors").encode(x).tolist()
    assert len(Trie.open(found.index)) == len(before) + 2

    opened = open_run(run, model="tiger")
    assert opened.label("late-1") == "a new late-1"
    recommended, _ = opened.recommend(["late-2", "item-03"], k=26, exclude_seen=False)
    assert {"late-1", "late-2"} <= set(recommended)
    with pytest.raises(DataError, match=r"'late-1' was appended after `popularity` was trained"):
        open_run(run, model="popularity").recommend(["late-1"])
    assert "late-1" not in open_run(run, model="popularity").recommend(["item-03"], k=26)[0]

    more, vectors, _ = new_items(finished, "late-3", seed=1)
    second = append_to_run(run, more, vectors=vectors)
    assert (second.count, second.path.name) == (3, "0002")
    assert SidTable.load(second.sids).tokens[:-1].tolist() == table.tokens.tolist()
    assert second.items()["item_id"].to_list() == ["late-1", "late-2", "late-3"]


def test_an_interrupted_append_changes_nothing(finished, run, monkeypatch):
    items, vectors, _ = new_items(finished, "late-1")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sidkit.run.appended.Trie.build", stop)
    with pytest.raises(KeyboardInterrupt):
        append_to_run(run, items, vectors=vectors)
    assert list((run / "appended").iterdir()) == []
    assert read_appended(RunDirectory(run)) is None
    assert len(open_run(run, model="tiger").table) == 24


def test_mistakes_are_named(finished, run):
    items, vectors, _ = new_items(finished, "item-03")
    with pytest.raises(DataError, match="item id 'item-03' stands at 2 rows"):
        append_to_run(run, items, vectors=vectors)
    with pytest.raises(ConfigError, match="--vectors FILE"):
        append_to_run(run, items)
    with pytest.raises(DataError, match=r"no \.parquet or \.csv file of items"):
        append_to_run(run, finished / "nothing")
    items, vectors, _ = new_items(finished, "late")
    found = append_to_run(run, items, vectors=vectors)
    found.sids.write_bytes(b"other")
    with pytest.raises(RunDirectoryError, match="is not the file that was appended"):
        open_run(run, model="tiger").recommend(["item-03"])
