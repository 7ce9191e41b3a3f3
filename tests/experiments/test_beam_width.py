"""Beam widths of a generative model, and its losses by level."""

import json

import numpy as np
import pytest

from sidkit.decode import rank_by_scores
from sidkit.errors import ConfigError, DataError, FormatError
from sidkit.evaluate import Metrics
from sidkit.experiments.beam_width import measure_beams, save_beams
from sidkit.report.tables.__main__ import KINDS
from sidkit.report.tables.documents import update_documents
from sidkit.report.tables.experiments.beams import beams_table, read_beams
from sidkit.run.opened import open_run


def test_a_wide_beam_is_exact(finished, tmp_path):
    found = measure_beams(finished, beams=(10, 24), users=50)
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
    assert update_documents(KINDS, tmp_path, [document]) == [document]
    assert beams_table(read_beams(place)) in document.read_text()


def test_beams_that_cannot_be(finished, tmp_path):
    with pytest.raises(ConfigError, match="beam search needs a generative model, got `sasrec`"):
        measure_beams(finished, model="sasrec")
    with pytest.raises(ConfigError, match="a beam is at least 10; got "):
        measure_beams(finished, beams=(5, 20))
    with pytest.raises(DataError, match="no file"):
        read_beams(tmp_path / "beams.json")
    (tmp_path / "beams.json").write_text(json.dumps({"against": "exact"}))
    with pytest.raises(FormatError, match="not a beams"):
        read_beams(tmp_path / "beams.json")


def test_losses_by_level_are_kept_and_sum_to_that_of_the_item(finished):
    opened = open_run(finished)
    stored = Metrics.load(finished / "metrics.json").diagnostics["rqtransformer"]
    assert len(stored["level_loss"]) == len(stored["bigram_loss"]) == opened.sids.tokens.shape[1]
    # The world's next item is certain, so a trained model is far better than a table of token pairs.
    assert sum(stored["level_loss"]) < 0.5 * sum(stored["bigram_loss"])
    model = opened.recommender("rqtransformer")
    validation = opened.dataset.split().validation
    items, scores = rank_by_scores(model.network_, validation.histories, 24)
    exact = -scores[items == validation.targets[:, None]].astype(np.float64)
    losses = model.level_losses(validation)
    assert sum(losses) == pytest.approx(exact.mean(), rel=1e-4)
    assert stored["level_loss"] == pytest.approx(losses, abs=1e-4)
