"""Appended items with texts: embedded like the run's own, by its model and its template."""

import shutil

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file
from tests.run.test_appended import SETTINGS
from tests.run.world import write_world

from sidkit import open_run
from sidkit.cli import main
from sidkit.embed import embed_texts
from sidkit.errors import ConfigError, DataError
from sidkit.ids import SidTable
from sidkit.run import build_config, run_pipeline
from sidkit.run.appended import append_to_run
from sidkit.tokenizers import load_tokenizer

# Every item's title is two letters of its own, and a third that says nothing.
TITLES = [f"{'abcdef'[item % 6]}{'klmn'[item // 6]} x" for item in range(24)]


@pytest.fixture(scope="module")
def finished(tiny_model, tmp_path_factory):
    """A run whose vectors are of texts: by the default template in one folder, by its own in another."""
    folder = tmp_path_factory.mktemp("texts")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SIDKIT_CACHE", str(folder / "cache"))
        world = write_world(folder / "world")
        items = pl.read_parquet(world / "items.parquet").select("item_id")
        items = items.with_columns(title=pl.Series(TITLES), brand=pl.lit("ho"), year=pl.lit(1999))
        items.write_parquet(world / "items.parquet")
        given = [*SETTINGS, f'embed.model="{tiny_model}"', f'data.source="{world}"']
        run_pipeline(build_config(assignments=given), folder / "run", until="train")
        template = 'embed.template="{title} by {brand}"'
        run_pipeline(build_config(assignments=[*given, template]), folder / "templated", until="ids")
    return folder


@pytest.fixture
def copies(finished, tmp_path, monkeypatch):
    """The runs, to be written to; with a cache of vectors that is empty."""
    monkeypatch.setenv("SIDKIT_CACHE", str(tmp_path / "cache"))
    for name in ("run", "templated"):
        shutil.copytree(finished / name, tmp_path / name)
    return tmp_path


def new_items(folder, name="new.csv", **columns):
    pl.DataFrame(columns).write_csv(folder / name)
    return folder / name


def vectors_of(folder):
    return load_file(folder / "embeddings.safetensors")["embeddings"]


def test_a_text_that_is_there_already_has_its_codes(copies, tiny_model):
    """And a new one those of its text, as the default template of the run's own items writes it."""
    run = copies / "run"
    # The columns come in another order and with one more: they count by name.
    items = new_items(
        copies,
        color=["z" * 9] * 3,
        brand=["ho", "ho", None],
        title=[TITLES[7], "cl b", "dm"],
        item_id=["twin", "late", "bare"],
        year=[1999, 2001, 1999],
    )
    found = append_to_run(run, items)
    assert found.count == 3
    texts = [f"{TITLES[7]}. ho. 1999", "cl b. ho. 2001", "dm. 1999"]
    expected = embed_texts(texts, model=tiny_model)
    np.testing.assert_allclose(vectors_of(found.path), expected, atol=1e-5)
    np.testing.assert_allclose(vectors_of(found.path)[0], vectors_of(run)[7], atol=1e-5)
    table, tokenizer = SidTable.load(found.sids), load_tokenizer(run / "tokenizer.safetensors")
    old = table.codes[7]
    assert (tokenizer.encode(expected)[0] == old).all()
    # It has the next collision token under the codes of its twin, or the nearest codes with one left.
    under = (table.codes[:24] == old).all(axis=1).sum()
    if under < table.sizes[-1]:
        assert table["twin"] == "-".join(map(str, [*old, under]))
    else:
        assert found.moved >= 1 and (table.codes[24] != old).any()
    recommended, _ = open_run(run, model="tiger").recommend(["late"], k=27, exclude_seen=False)
    assert {"twin", "late", "bare"} <= set(recommended)


def test_the_template_of_the_run_counts(copies, tiny_model):
    items = new_items(copies, item_id=["late"], title=["ak"], brand=["ke"], year=[3])
    found = append_to_run(copies / "templated", items)
    np.testing.assert_allclose(vectors_of(found.path), embed_texts(["ak by ke"], model=tiny_model), atol=1e-5)
    other = append_to_run(copies / "run", items)
    assert np.abs(vectors_of(other.path) - vectors_of(found.path)).max() > 1e-2


def test_a_second_time_is_added_to_the_first(copies, tiny_model):
    run = copies / "run"
    append_to_run(run, new_items(copies, item_id=["one"], title=["ab"], brand=["ho"], year=[1]))
    # Vectors of one's own are as good, if they are as wide.
    np.save(copies / "own.npy", np.zeros((1, 16), np.float32))
    append_to_run(run, new_items(copies, item_id=["two"], title=["?"]), vectors=copies / "own.npy")
    last = append_to_run(run, new_items(copies, item_id=["three"], title=["cd"], brand=["ho"], year=[3]))
    assert (last.path.name, last.count) == ("0003", 3)
    assert last.items()["item_id"].to_list() == ["one", "two", "three"]
    texts = embed_texts(["ab. ho. 1", "cd. ho. 3"], model=tiny_model)
    np.testing.assert_allclose(vectors_of(last.path)[[0, 2]], texts, atol=1e-5)
    assert not vectors_of(last.path)[1].any()
    assert SidTable.load(last.sids).item_ids[-3:].to_list() == ["one", "two", "three"]


def test_what_is_embedded_once_comes_from_the_cache(copies, monkeypatch):
    items = new_items(copies, item_id=["late"], title=["ab"], brand=["ho"], year=[1])
    first = append_to_run(copies / "run", items)
    shutil.rmtree(first.path)

    def fail(*_):
        raise AssertionError("a text is embedded again")

    monkeypatch.setattr("sidkit.embed.encoder._encode", fail)
    assert (vectors_of(append_to_run(copies / "run", items).path) == vectors_of(first.path)).all()


def test_texts_that_cannot_be_had(copies):
    run = copies / "run"
    with pytest.raises(ConfigError, match="brand"):
        append_to_run(run, new_items(copies, item_id=["late"], title=["ab"], year=[1]))
    with pytest.raises(DataError, match="text"):
        append_to_run(run, new_items(copies, item_id=["late"], title=[None], brand=[" "], year=[None]))
    with pytest.warns(UserWarning, match="blank"):
        items = new_items(
            copies, item_id=["late", "blank"], title=["ab", None], brand=[None, None], year=[None, None]
        )
        append_to_run(run, items)
    np.save(copies / "own.npy", np.zeros((1, 5), np.float32))
    with pytest.raises(DataError, match=r"16.*got 5"):
        append_to_run(run, new_items(copies, item_id=["own"], title=["ab"]), vectors=copies / "own.npy")
    assert len(list((run / "appended").iterdir())) == 1


def test_on_the_command_line(copies, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    items = new_items(copies, item_id=["one", "two"], title=["ab", "cd"], brand=["ho"] * 2, year=[1, 2])
    with pytest.raises(SystemExit) as ended:
        main(["tokenize", str(copies / "run"), "--append", str(items)])
    said = capsys.readouterr()
    assert not ended.value.code, said.err
    assert "2 new items; 2 items in all were appended" in said.out
    assert len(SidTable.load(copies / "run/appended/0001/sids.parquet")) == 26
