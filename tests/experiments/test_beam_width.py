"""What is measured of a trained generator beside its lists: beams, and losses by level."""

import json

import numpy as np
import pytest
from tests.run.world import QUICK, write_world

from sidkit.errors import ConfigError, DataError, FormatError
from sidkit.evaluate import Metrics
from sidkit.experiments.beam_width import measure_beams, save_beams
from sidkit.models import load_model
from sidkit.report.beams import beams_table, read_beams
from sidkit.report.tables import update_tables
from sidkit.run import build_config, run_pipeline
from sidkit.run.opened import open_run
from sidkit.run.stages.level_losses import level_losses


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    world = write_world(folder / "ring")
    settings = [*QUICK, 'recommenders.use=["rqtransformer"]', f"data.source={world}"]
    config = build_config(
        assignments=[
            *settings,
            f"embed.vectors={world}/vectors.npy",
            "recommenders.rqtransformer.dense=false",
        ]
    )
    run_pipeline(config, folder / "run", until="evaluate")
    return folder / "run"


def test_a_wide_beam_is_exact(run, tmp_path):
    found = measure_beams(run, beams=(10, 24), users=50)
    assert [row["search"] for row in found["rows"]] == ["beam 10", "beam 24", "exact"]
    assert found["against"] == "exact" and found["users"] == 50
    widest = found["rows"][1]
    assert widest["recall@10"]["delta_exact"] == {"difference": 0.0, "ci95": [0.0, 0.0], "p": 1.0}
    assert found["rows"][2]["recall@10"]["value"] > 0.9  # it has learned the ring
    assert all(row["users_per_second"] > 0 and row["users_per_cpu_second"] > 0 for row in found["rows"])
    place = tmp_path / "toy" / "rqtransformer-seed0" / "beams.json"
    place.parent.mkdir(parents=True)
    save_beams(found, place)
    document = tmp_path / "page.md"
    document.write_text("<!-- beams:toy/rqtransformer-seed0 -->\n<!-- /beams -->\n")
    assert update_tables(tmp_path, [document]) == [document]
    assert beams_table(read_beams(place)) in document.read_text()


def test_beams_that_cannot_be(run, tmp_path):
    with pytest.raises(ConfigError, match="`sasrec` searches nothing"):
        measure_beams(run, model="sasrec")
    with pytest.raises(ConfigError, match="a beam is at least 10; got "):
        measure_beams(run, beams=(5, 20))
    with pytest.raises(DataError, match="no beams at"):
        read_beams(tmp_path / "beams.json")
    (tmp_path / "beams.json").write_text(json.dumps({"against": "exact"}))
    with pytest.raises(FormatError, match="not a beams"):
        read_beams(tmp_path / "beams.json")


def test_losses_by_level_are_kept_and_sum_to_that_of_the_item(run):
    opened = open_run(run)
    told = Metrics.load(run / "metrics.json").diagnostics["rqtransformer"]
    assert len(told["level_loss"]) == len(told["bigram_loss"]) == opened.table.tokens.shape[1]
    # The world's next item is certain, so a trained model is far better than a table of token pairs.
    assert sum(told["level_loss"]) < 0.5 * sum(told["bigram_loss"])
    model = load_model(run / "models" / "rqtransformer")
    model.eval()
    from sidkit.data import split_dataset
    from sidkit.decode import rank_by_rqtransformer

    valid = split_dataset(opened.dataset).valid
    items, scores = rank_by_rqtransformer(model, valid.histories, 24)
    exact = -scores[items == valid.targets[:, None]].astype(np.float64)
    losses = level_losses(model, opened.table.tokens, valid)
    assert sum(losses) == pytest.approx(exact.mean(), rel=1e-4)
    assert told["level_loss"] == pytest.approx(losses, abs=1e-4)
