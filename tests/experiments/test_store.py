"""Storage of the results of a run, and the tables made of them."""

import numpy as np
import pytest
from tests.run.world import write_world

from sidkit.errors import ConfigError, RunDirectoryError
from sidkit.evaluate import Metrics, TargetRanks
from sidkit.experiments.store import store_run
from sidkit.report.tables.results import results_tables
from sidkit.report.tables.stored import stored_runs
from sidkit.run import build_config, run_pipeline

SASREC = (
    'recommenders.use=["popularity", "sasrec"]',
    "recommenders.sasrec.d_model=32",
    "recommenders.sasrec.max_steps=20",
    "recommenders.sasrec.evaluate_every_steps=10",
    "evaluate.ks=[5, 10]",
    "decode.k=10",
    "evaluate.bootstrap_samples=50",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    world = write_world(folder / "ring")
    config = build_config(assignments=[f"data.source={world}", "recommenders.sasrec.seed=3", *SASREC])
    run_pipeline(config, folder / "run", until="evaluate")
    return folder / "run"


def test_a_run_is_stored_and_shown(run, tmp_path):
    places = store_run(run, tmp_path)
    assert [place.name for place in places] == ["popularity-seed3", "sasrec-seed3"]
    assert sorted(file.name for file in places[1].iterdir()) == [
        "history.json",
        "metrics.json",
        "ranks.parquet",
        "run.toml",
    ]
    metrics, ranks = Metrics.load(places[1] / "metrics.json"), TargetRanks.load(places[1] / "ranks.parquet")
    assert metrics.models == ["sasrec"] and metrics.protocol.seeds == (3,)
    for metric in ("recall@5", "ndcg@10", "mrr@10"):
        for exclude_seen in (True, False):
            mean = ranks.metric("sasrec", metric, exclude_seen=exclude_seen).mean()
            found = metrics.find("sasrec", metric, exclude_seen=exclude_seen).value
            np.testing.assert_allclose(mean, found, rtol=1e-12)
    stored = stored_runs(tmp_path, metrics.protocol.dataset)
    assert stored[1].cpu_seconds > 0 and stored[1].seconds > 0
    assert "| SASRec | 3 |" in results_tables(stored)


def test_stored_results_are_not_replaced_unasked(run, tmp_path):
    store_run(run, tmp_path, models=["sasrec"])
    with pytest.raises(ConfigError, match="is stored already; give this one a --variant, or pass --force"):
        store_run(run, tmp_path)
    assert not list(tmp_path.glob("*/popularity*"))
    assert store_run(run, tmp_path, variant="small")[1].name == "sasrec-small-seed3"
    store_run(run, tmp_path, force=True)


def test_runs_that_have_nothing_to_store(run, tmp_path):
    with pytest.raises(RunDirectoryError, match="has no results of `tiger`"):
        store_run(run, tmp_path, models=["tiger"])
    with pytest.raises(RunDirectoryError, match="there is no run in"):
        store_run(tmp_path / "none", tmp_path)
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "run.toml").write_bytes((run / "run.toml").read_bytes())
    with pytest.raises(RunDirectoryError, match="there are no results in"):
        store_run(begun, tmp_path)
