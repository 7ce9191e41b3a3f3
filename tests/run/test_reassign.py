"""`ids.reassign` in a run: which of several items keeps their common code."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.run.test_appended import SETTINGS

from sidkit.cli import main
from sidkit.errors import ConfigError
from sidkit.ids import SidTable
from sidkit.run import build_config, run_pipeline
from sidkit.tokenizers import load_tokenizer

CROWDED = ("tokenize.levels=2", "tokenize.codebook_size=6", "ids.collisions=reassign")


def settings(world, *more):
    vectors = f"embed.vectors={world / 'vectors.npy'}"
    return build_config(assignments=[f"data.source={world}", vectors, *CROWDED, *more])


@pytest.mark.parametrize("method", ["first", "nearest", "sinkhorn"])
def test_which_item_keeps_a_code(world, tmp_path, method, capsys):
    """From the data to the report, on the command line."""
    run = tmp_path / "run"
    given = [*SETTINGS, *CROWDED, "decode.k=10", "evaluate.ks=[10]", f"ids.reassign={method}"]
    given += [f"embed.vectors={world / 'vectors.npy'}", "recommenders.tiger.evaluate_every_steps=1"]
    with pytest.raises(SystemExit) as ended:
        main(["run", str(world), "--out", str(run), *(part for one in given for part in ("--set", one))])
    assert not ended.value.code, capsys.readouterr().err

    x = load_file(run / "embeddings.safetensors")["embeddings"]
    tokenizer = load_tokenizer(run / "tokenizer.safetensors")
    nearest, table = tokenizer.encode(x), SidTable.load(run / "sids.parquet")
    assert len(np.unique(nearest, axis=0)) < len(np.unique(table.tokens, axis=0)) == len(x)
    away = np.square(tokenizer.decode(nearest) - x).sum(axis=1)
    paid = {"own": away.sum(), method: np.square(tokenizer.decode(table.tokens) - x).sum()}
    assert paid[method] > paid["own"]
    for code in np.unique(nearest, axis=0):
        group = np.flatnonzero((nearest == code).all(axis=1))
        kept = [row for row in group if (table.tokens[row] == code).all()]
        if method == "first":
            assert kept == [group[0]]
        if method == "nearest":
            # Someone from elsewhere may be nearer still; of those who nearest it, only the nearest keeps it.
            assert kept in ([], [group[away[group].argmin()]])
    if method == "sinkhorn":
        by_first = run_pipeline(settings(world), tmp_path / "first", until="ids")
        moved = SidTable.load(by_first.path / "sids.parquet").tokens
        assert paid[method] < np.square(tokenizer.decode(moved) - x).sum()

    protocol = json.loads((run / "metrics.json").read_text())["protocol"]
    assert protocol["collisions"] == "reassign"
    assert protocol.get("reassign", "first") == method
    expected = f"collisions by reassign{'' if method == 'first' else f' ({method})'}; beam"
    assert expected in (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("tokenizer", "codes"), [("hkmeans", 6), ("pq", 6), ("random", 6), ("cooccurrence", 8), ("words", 32)]
)
def test_tokenizers_that_decode_in_other_ways(tokenizer, codes, world, tmp_path):
    config = settings(
        world, f"tokenize.method={tokenizer}", f"tokenize.codebook_size={codes}", "ids.reassign=nearest"
    )
    table = SidTable.load(run_pipeline(config, tmp_path / "run", until="ids").path / "sids.parquet")
    assert len(np.unique(table.tokens, axis=0)) == 24


def test_a_method_without_its_policy():
    with pytest.raises(ConfigError, match='`reassign` is "nearest", but `collisions` is "suffix"'):
        build_config(assignments=["ids.reassign=nearest"])
    with pytest.raises(ConfigError, match=r"`ids.reassign`: input should be 'first', 'nearest' or 'sin"):
        build_config(assignments=["ids.reassign=best"])
