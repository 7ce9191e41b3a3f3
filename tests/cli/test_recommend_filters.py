"""Filters of `sidkit recommend`, in a run that holds items out."""

import json

import polars as pl
import pytest
from tests.run.world import write_world

import sidkit
from sidkit.evaluate import Metrics
from sidkit.report import read_run
from sidkit.report.html.accuracy import accuracy
from sidkit.report.terminal import accuracy_tables
from sidkit.run import build_config, run_pipeline

HISTORY = "item-03,item-04"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filters")
    world = write_world(folder / "world")
    settings = {
        "data": {"source": str(world), "split": "cold_items", "share": 0.25, "seed": 2},
        "embed": {"vectors": str(world / "vectors.npy")},
        "tokenize": {"levels": 2, "codebook_size": 8},
        "recommenders": {"use": ["popularity", "transition_graph"]},
        "evaluate": {"ks": [1, 10], "bootstrap_samples": 50},
    }
    run_pipeline(build_config(settings), folder / "run", until="evaluate")
    return folder / "run"


@pytest.fixture
def found(sid, run):
    """Recommend after a history; gives the item ids."""

    def recommend(*options):
        code, said, wrong = sid("recommend", run, "--history", HISTORY, "-k", "4", "--json", *options)
        assert (code, wrong) == (0, "")
        return [each["item_id"] for each in json.loads(said)["recommendations"]]

    return recommend


def test_the_run_reports_warm_and_cold_targets(run):
    metrics = Metrics.load(run / "metrics.json")
    assert (metrics.protocol.split, metrics.protocol.cold_share, metrics.protocol.cold_seed) == (
        "cold_items",
        0.25,
        2,
    )
    assert metrics.slices["warm"] + metrics.slices["cold"] == metrics.slices["all"]
    for model in ("popularity", "transition_graph"):
        assert metrics.find(model, "recall@1", "cold").value == 0
        assert metrics.find(model, "recall@10", "warm").value > 0.5
        assert metrics.find(model, "cold@1").value == 0


def test_reports_show_warm_and_cold_targets(run):
    data = read_run(run)
    *_, table = accuracy_tables(data)
    titles = [column.header for column in table.columns]
    assert titles == [
        "model",
        "Recall@10, warm",
        "NDCG@10, warm",
        "Recall@10, cold",
        "NDCG@10, cold",
        "Cold items@10",
    ]
    page = "".join(str(each) for each in accuracy(data))
    assert "Warm and cold targets" in page and all(title in page for title in titles)


def test_a_condition_in_python_and_on_the_command_line(run, found):
    opened = sidkit.open_run(run)
    condition = pl.col("title").str.starts_with("green") & (pl.col("item_id") != "item-07")
    expected, _ = opened.recommend(HISTORY.split(","), k=4, allow=opened.catalogue().where(condition))
    assert found("--where", "title LIKE 'green%' AND item_id != 'item-07'") == expected.tolist()
    users, _ = opened.recommend_users(1003, k=4, allow=opened.catalogue().where(condition))
    assert set(users) <= set(opened.catalogue().items.filter(condition)["item_id"]) | {None}


def test_filters_compose_and_lists_stay_full(found):
    every = found()
    assert len(found("--where", "item_id > 'item-00'", "--exclude", ",".join(every))) == 4
    assert found("--where", "item_id < 'item-06'", "--allow", "item-05,item-09") == ["item-05"]
    assert not set(found("--exclude", f" {every[0]}, {every[1]}")) & set(every[:2])


def test_files_of_ids(found, tmp_path):
    (tmp_path / "ids.txt").write_text("item-09\n\nitem-05\n")
    assert set(found("--allow", tmp_path / "ids.txt")) == {"item-05", "item-09"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--where", "tilte = 'x'"),
            "`--where`: the condition uses an unknown column: expected one of item_id",
        ),
        (("--where", "title LIKE"), "`--where`: the condition is not an SQL expression"),
        (("--exclude", "missing.txt"), "`--exclude` is neither a file nor an item: expected ids separated"),
        (("--allow", "item-04,item-99"), "`--allow`: item 'item-99' does not exist"),
    ],
)
def test_filters_that_name_nothing(sid, run, options, message):
    code, _, wrong = sid("recommend", run, "--history", HISTORY, *options)
    assert code == 1 and wrong.startswith(f"error: {message}") and wrong.count("\n") == 1
