"""`--engine` of embed, tokenize and recommend: from items to lists, over Parquet files only."""

import numpy as np
import polars as pl
import pytest
from tests.cli.conftest import sid
from tests.scale.reading import read

from sidkit.run.opened import open_run
from sidkit.tokenizers import RQKMeans

__all__ = ["sid"]


def test_items_become_semantic_ids(sid, tmp_path, tiny_model):
    rows = 50
    pl.DataFrame(
        {"item_id": range(rows), "title": [f"item {row % 20}" for row in range(rows)]}
    ).write_parquet(tmp_path / "items.parquet")
    model = f"embed.model={tiny_model}"
    code, out, err = sid(
        *("embed", tmp_path / "items.parquet", "--engine", "local", "--out", tmp_path / "vectors"),
        *("--set", model, "--set", "embed.template={title}"),
    )
    assert (code, err) == (0, "") and "50 rows in 1 parts" in out
    x = np.array(read(tmp_path / "vectors")["vector"].to_pylist(), np.float32)

    tokenizer = RQKMeans(2, 4).fit(x)
    tokenizer.save(tmp_path / "tokenizer.safetensors")
    code, out, err = sid(
        *("tokenize", tmp_path / "vectors", "--engine", "local", "--out", tmp_path / "sids"),
        *("--using", tmp_path / "tokenizer.safetensors"),
    )
    assert (code, err) == (0, "") and "50 Semantic IDs" in out
    table = read(tmp_path / "sids")
    assert table["sid"].to_pylist() == tokenizer.semantic_ids(x, range(rows)).sids


def test_histories_get_recommendations(sid, tmp_path, small_run):
    opened = open_run(small_run)
    ids = opened.dataset.item_ids.to_list()
    pl.DataFrame({"user_id": ["a", "b"], "history": [ids[:2], ids[3:4]]}).write_parquet(
        tmp_path / "h.parquet"
    )
    code, out, err = sid(
        *(
            "recommend",
            tmp_path / "h.parquet",
            "--engine",
            "local",
            "--using",
            small_run,
            "--out",
            tmp_path / "lists",
        ),
        *("-k", "3", "--model", "popularity"),
    )
    assert (code, err) == (0, "") and "2 rows" in out
    items, _ = open_run(small_run, model="popularity").recommend([ids[:2], ids[3:4]], 3)
    assert read(tmp_path / "lists")["items"].to_pylist() == items.tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tokenize", "v", "--engine", "local"], "expected --using RUN or a tokenizer file"),
        (["tokenize", "v", "--engine", "local", "--using", "t", "--force"], "--force has no meaning"),
        (["tokenize", "v", "--using", "t"], "belong to --engine"),
        (["tokenize", "v", "--workers", "2"], "belong to --engine"),
        (["recommend", "h", "--engine", "local"], "expected --using RUN or a saved model"),
        (["recommend", "h", "--engine", "local", "--user", "5"], "--user has no meaning with --engine"),
        (["recommend", "h", "--user", "5", "--out", "o"], "--out belongs to --engine"),
        (["embed", "i", "--engine", "local", "--set", "embed.template={t}"], "expected --out DIRECTORY"),
        (
            ["embed", "i", "--engine", "lcoal", "--out", "o", "--set", "embed.template={t}"],
            "did you mean `local`",
        ),
        (["embed", "missing", "--engine", "local", "--out", "o"], "has no data"),
    ],
)
def test_mistakes_are_one_line(sid, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = sid(*arguments)
    assert code == 1 and message in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())
