"""Accuracy against diversity and popularity over the parameters of the re-rankers."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from sidkit.cli import main
from sidkit.errors import ConfigError, DataError
from sidkit.evaluate.lists import intra_list_diversity
from sidkit.experiments.frontier import GRID, measure_frontier, save_frontier, within_loss
from sidkit.report.frontier import METHODS, frontier_plot
from sidkit.rerank import MMR
from sidkit.run import build_config, run_pipeline
from sidkit.run.directory import RunDirectory
from sidkit.run.opened import open_run
from sidkit.run.stages.context import Context


@pytest.fixture(scope="module")
def one_model(world, tmp_path_factory):
    """A run with item vectors and one model that needs no training."""
    path = tmp_path_factory.mktemp("frontier") / "ring"
    source = [f"data.source={world}", f"embed.vectors={world / 'vectors.npy'}"]
    quick = ['recommenders.use=["transition_graph"]', "evaluate.bootstrap_samples=20"]
    run_pipeline(build_config(assignments=[*source, *quick]), path)
    return path


@pytest.fixture(scope="module")
def found(one_model):
    return measure_frontier(one_model, users=60, k=5, candidates=12)


def test_every_method_is_measured_at_every_value(found):
    plain, *points = found["points"]
    assert plain["method"] == "plain" and found["users"] == 60
    assert [(point["method"], point["value"]) for point in points] == [
        (method, value) for method, (_, values) in GRID.items() for value in values
    ]
    assert set(METHODS) == set(GRID)
    assert all(figures["change"] == 0 for figures in plain["metrics"].values() if "change" in figures)


def test_points_are_those_of_the_re_ranked_lists(found, one_model):
    opened = open_run(one_model)
    validation = opened.dataset.split().validation
    rows = np.sort(np.random.default_rng(0).choice(len(validation), 60, replace=False))
    vectors = Context(opened.config, RunDirectory(opened.path)).vectors()
    ids, _ = opened.recommend(
        validation.take(rows), k=5, rerank=MMR(diversity=0.5, vectors=vectors), candidates=12
    )
    index = {item: row for row, item in enumerate(opened.dataset.item_ids.to_list())}
    items = np.array([[index[each] for each in row] for row in ids], np.int32)
    (point,) = (p for p in found["points"] if (p["method"], p["value"]) == ("mmr", 0.5))
    metrics = point["metrics"]
    assert metrics["diversity@5"]["value"] == pytest.approx(intra_list_diversity(items, vectors).mean())
    hits = (items == validation.targets[rows][:, None]).any(axis=1)
    assert metrics["recall@5"]["value"] == pytest.approx(hits.mean())


def test_more_diversity_is_bought_with_accuracy(found):
    by = {(p["method"], p["value"]): p["metrics"] for p in found["points"]}
    plain = by["plain", None]
    for method in ("mmr", "dpp"):
        assert by[method, 0.9]["diversity@5"]["value"] > plain["diversity@5"]["value"]
    corrected = by["popularity_correction", 1.0]
    assert corrected["average_popularity@5"]["value"] <= plain["average_popularity@5"]["value"]
    best = within_loss(found, "diversity@5", 0.03, methods=["plain", "mmr"])
    assert best["metrics"]["ndcg@5"]["change"] >= -0.03
    assert best["metrics"]["diversity@5"]["value"] >= plain["diversity@5"]["value"]
    lowest = within_loss(found, "average_popularity@5", 1.0, methods=["popularity_correction"], lowest=True)
    assert lowest["metrics"]["average_popularity@5"]["value"] == min(
        p["metrics"]["average_popularity@5"]["value"]
        for p in found["points"]
        if p["method"] == "popularity_correction"
    )
    assert within_loss(found, "diversity@5", -2.0, methods=["mmr"]) is None
    for wrong, metric in (
        ({}, "diversity@5"),
        ({"k": 5, "points": [3]}, "diversity@5"),
        (found, "diversity@6"),
    ):
        with pytest.raises(DataError, match="`found` has not the form of a frontier"):
            within_loss(wrong, metric, 0.5, methods=["mmr"])


def test_the_plot_and_the_file(found, tmp_path):
    save_frontier(found, tmp_path / "frontier.json")
    assert json.loads((tmp_path / "frontier.json").read_text()) == found
    drawn = frontier_plot(found)
    texts = [each.text or "" for each in ElementTree.fromstring(drawn).iter() if each.tag.endswith("title")]
    assert sum(text.startswith("MMR, diversity") for text in texts) == 2 * len(GRID["mmr"][1])
    assert sum(text.startswith("MMR, first 70 % kept, diversity") for text in texts) == 20


def test_candidates_must_fill_a_list(one_model):
    with pytest.raises(ConfigError, match="`candidates` must be at least `k`"):
        measure_frontier(one_model, candidates=4)


def test_the_command_writes_both_files(one_model, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    place = tmp_path / "frontier.json"
    arguments = [
        "frontier",
        str(one_model),
        "--users",
        "20",
        "-k",
        "4",
        "--candidates",
        "8",
        "--out",
        str(place),
    ]
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert not caught.value.code
    written = capsys.readouterr().out
    assert "not re-ranked" in written and "most diversity, NDCG −3% at most" in written
    assert json.loads(place.read_text())["k"] == 4
    assert place.with_suffix(".svg").read_text().startswith("<svg")
