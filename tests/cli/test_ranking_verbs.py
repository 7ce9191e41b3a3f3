"""`rank`, `sweep` and `drift` on datasets with known answers."""

import xml.etree.ElementTree as ET

import polars as pl
import pytest
from tests.ranking.world import write_ranking_world

from sidkit.ranking import Comparison, Retraining, Sweep
from sidkit.tokenizers.quality.coherence import coherence_from_json

SMALL = ["--num-embeddings", "64", "--dim", "8", "--epochs", "8", "--batch-size", "128"]


@pytest.fixture(scope="module")
def telling(tmp_path_factory):
    return write_ranking_world(tmp_path_factory.mktemp("worlds") / "telling", content=True)


@pytest.fixture(scope="module")
def mute(tmp_path_factory):
    return write_ranking_world(tmp_path_factory.mktemp("worlds") / "mute", content=False)


@pytest.fixture
def sid(sid):
    """Type a verb about a world, whose vectors are in it."""
    return lambda verb, world, *arguments: sid(verb, world, "--vectors", world / "vectors.npy", *arguments)


def figures(comparison, part, metric):
    rows = comparison.summary().filter(pl.col("slice") == part, pl.col("metric") == metric)
    return {row["representation"]: row["mean"] for row in rows.to_dicts()}


def rank(sid, world, out, kinds):
    shape = ("--levels", "2", "--codebook-size", "4")
    code, said, wrong = sid(
        "rank", world, "--out", out, "--representations", kinds, *shape, *SMALL, "--seeds", "2"
    )
    assert (code, wrong) == (0, "")
    return said, Comparison.from_json((out / "rank.json").read_text())


def test_where_content_decides_ngrams_know_new_items_and_a_random_hash_does_not(sid, telling, tmp_path):
    said, found = rank(sid, telling, tmp_path, "random,prefix,all")
    assert "new items: 800 events" in said and str(tmp_path / "rank.json") in said
    for metric in ("auc", "user_auc"):
        means = figures(found, "new items", metric)
        assert means["random"] < 0.65
        assert min(means["prefix"], means["all"]) > 0.9
    losses = figures(found, "new items", "log_loss")
    assert max(losses["prefix"], losses["all"]) < losses["random"] - 0.1
    alike = coherence_from_json((tmp_path / "coherence.json").read_text())
    assert [each.depth for each in alike] == [0, 1, 2] and alike[0].items == 160
    assert alike[1].cosine > alike[0].cosine + 0.3


def test_where_content_means_nothing_ngrams_do_not_help(sid, mute, tmp_path):
    _, found = rank(sid, mute, tmp_path, "random,prefix,all")
    means = figures(found, "new items", "user_auc")
    assert all(0.35 < mean < 0.65 for mean in means.values())
    assert max(means["prefix"], means["all"]) < means["random"] + 0.1


def test_a_sweep_finds_the_shape_that_separates_clusters_and_resumes(sid, telling, tmp_path, monkeypatch):
    def sweep(*more):
        code, said, wrong = sid("sweep", telling, "--out", tmp_path, *SMALL, "--seeds", "1", *more)
        return code, said, wrong, tmp_path / "sweep.json"

    code, said, wrong, stored = sweep("--tokenizers", "rqkmeans", "--levels", "1", "--codebook-size", "2,4")
    assert (code, wrong) == (0, "") and "rqkmeans-1x4" in said
    first = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()}
    assert sorted(first) == ["baselines.json", "rqkmeans-1x2.json", "rqkmeans-1x4.json"]

    code, said, _, stored = sweep("--tokenizers", "rqkmeans,pq", "--levels", "1", "--codebook-size", "4")
    assert code == 0
    assert {name: (tmp_path / "cells" / name).stat().st_mtime_ns for name in first} == first
    found = Sweep.from_json(stored.read_text())
    assert [each.cell.name for each in found.cells] == ["rqkmeans-1x4", "pq-1x4"]
    table = pl.read_csv(tmp_path / "sweep.csv").filter(
        pl.col("slice") == "new items", pl.col("metric") == "auc"
    )
    means = dict(table.select("name", "mean").iter_rows())
    assert means["rqkmeans-1x4"] > 0.9 and means["random"] < 0.65
    assert table.filter(pl.col("name") == "rqkmeans-1x4")["distinct"].item() == pytest.approx(4 / 160)
    assert ET.parse(tmp_path / "sweep.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"

    code, _, wrong, _ = sweep("--dim", "4")
    assert code == 1 and "other data or settings" in wrong
    (tmp_path / "cells" / "pq-1x4.json").write_text("{")
    code, _, wrong, _ = sweep("--tokenizers", "pq", "--levels", "1", "--codebook-size", "4")
    assert code == 1 and "is damaged" in wrong and "Delete it" in wrong


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (("--tokenizers", "kmeans"), "there is no tokenizer `kmeans`: expected one of"),
        (("--levels", "2,x"), "--levels must be integers separated by commas; got `2,x`"),
        (("--codebook-size", "4,4"), "without duplicates"),
        (("--metric", "ndcg"), "--metric must be one of auc, user_auc, log_loss"),
    ],
)
def test_a_sweep_of_nonsense_is_refused(sid, telling, tmp_path, options, wrong):
    code, _, said = sid("sweep", telling, "--out", tmp_path, *options)
    assert code == 1 and wrong in said
    assert not list(tmp_path.iterdir())


def test_a_log_of_one_label_is_refused(sid, telling):
    code, _, wrong = sid("rank", telling, "--liked", "99")
    assert code == 1 and "have one label, so nothing can be ranked; ratings of 99.0 or more" in wrong


def test_drift_of_a_catalogue_that_does_not_drift(sid, telling, tmp_path):
    shape = ("--levels", "1", "--codebook-size", "8", "--representation", "unigram")
    code, said, wrong = sid("drift", telling, "--out", tmp_path, *shape, *SMALL, "--seeds", "1")
    assert (code, wrong) == (0, "") and "other seed" in said
    found = Retraining.from_json((tmp_path / "drift.json").read_text())
    assert found.trained_on == {"earlier": 40, "later": 40, "whole": 80}
    # Either half has all four clusters, and finds them, under numbers of its own.
    (moved,) = found.moved
    assert moved.information > 0.5 and moved.agreement < moved.remapped
    assert moved.remap["items"].sum() == 160
    means = figures(found.comparison, "new items", "auc")
    assert min(means["earlier"], means["later"], means["whole"]) > 0.85 and means["random"] < 0.65
    assert Retraining.from_json(found.to_json()).to_json() == found.to_json()
