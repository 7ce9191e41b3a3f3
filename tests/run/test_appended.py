"""Items appended to a finished run, by its frozen tokenizer."""

import shutil

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
    assert opened.title("late-1") == "a new late-1"
    recommended, _ = opened.recommend(["late-2", "item-03"], k=26, exclude_seen=False)
    assert {"late-1", "late-2"} <= set(recommended)
    assert opened.sid("late-1") == table["late-1"]
    # A model with a row for each item skips them in histories, and does not recommend them.
    popularity = open_run(run, model="popularity")
    with pytest.warns(UserWarning, match="late-1"):
        ids, _ = popularity.recommend(["late-1", "item-03"], k=26)
    assert "late-1" not in ids and "item-04" in ids

    more, vectors, _ = new_items(finished, "late-3", seed=1)
    second = append_to_run(run, more, vectors=vectors)
    assert (second.count, second.path.name) == (3, "0002")
    assert SidTable.load(second.sids).tokens[:-1].tolist() == table.tokens.tolist()
    assert second.items()["item_id"].to_list() == ["late-1", "late-2", "late-3"]
    assert (found.new, second.new) == (2, 1)


def test_an_append_may_be_repeated(finished, run):
    items, vectors, _ = new_items(finished, "late-1", "late-2")
    first = append_to_run(run, items, vectors=vectors)
    again = append_to_run(run, items, vectors=vectors)
    assert (again.path, again.count, again.new) == (first.path, 2, 0)
    assert [path.name for path in (run / "appended").iterdir()] == ["0001"]
    items, vectors, _ = new_items(finished, "late-2", "late-3")
    more = append_to_run(run, items, vectors=vectors)
    assert (more.path.name, more.count, more.new) == ("0002", 3, 1)
    assert more.items()["item_id"].to_list() == ["late-1", "late-2", "late-3"]
    pl.DataFrame({"item_id": ["late-3"], "title": ["another title"]}).write_csv(items)
    with pytest.raises(DataError, match="'late-3' was appended before with other values"):
        append_to_run(run, items, vectors=vectors)


def test_an_interrupted_append_changes_nothing(finished, run, monkeypatch):
    items, vectors, _ = new_items(finished, "late-1")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sidkit.run.appended.Trie.build", stop)
    with pytest.raises(KeyboardInterrupt):
        append_to_run(run, items, vectors=vectors)
    assert list((run / "appended").iterdir()) == []
    assert read_appended(RunDirectory(run)) is None
    assert len(open_run(run, model="tiger").sids) == 24


def test_mistakes_are_named(finished, run):
    items, vectors, _ = new_items(finished, "item-03")
    with pytest.raises(DataError, match="item-03"):
        append_to_run(run, items, vectors=vectors)
    with pytest.raises(ConfigError, match="--vectors FILE"):
        append_to_run(run, items)
    with pytest.raises(DataError, match="nothing"):
        append_to_run(run, finished / "nothing")
    items, vectors, _ = new_items(finished, "late")
    found = append_to_run(run, items, vectors=vectors)
    found.sids.write_bytes(b"other")
    with pytest.raises(RunDirectoryError, match="is not the file that was appended"):
        open_run(run, model="tiger").recommend(["item-03"])
