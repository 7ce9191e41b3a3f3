import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.report.test_tables import with_users

from sidkit.errors import DataError
from sidkit.evaluate import Metrics
from sidkit.report.tables.quality import main, quality_over_time, quality_plot
from sidkit.report.tables.stored import stored_runs

ROOT = Path(__file__).parents[2]
HISTORY = {
    "steps": [{"step": 10, "loss": 1.0, "seconds": 5.0}, {"step": 20, "loss": 0.9, "seconds": 11.0}],
    "evaluations": [
        {"step": 10, "metrics": {"ndcg@10": 0.02}, "seconds": 2.0, "cpu_seconds": 6.0},
        {"step": 20, "metrics": {"ndcg@10": 0.03}, "seconds": 1.0, "cpu_seconds": 12.0},
    ],
}


def test_time_includes_evaluations():
    assert quality_over_time(HISTORY) == [(7.0, 0.02), (14.0, 0.03)]
    assert quality_over_time(HISTORY, cpu=True) == [(6.0, 0.02), (12.0, 0.03)]
    unmeasured = {**HISTORY, "evaluations": [dict(HISTORY["evaluations"][0], cpu_seconds=0.0)]}
    assert quality_over_time(unmeasured, cpu=True) == []


def test_nothing_to_draw(tmp_path):
    with_users(tmp_path, "popularity-seed0", "popularity", [1, 0])
    with pytest.raises(DataError, match="nothing to draw"):
        quality_plot(stored_runs(tmp_path, "beauty"))


def test_trainings_on_a_gpu_are_not_drawn(tmp_path):
    with_users(tmp_path, "tiger-seed0", "tiger", [1, 0])
    path = tmp_path / "beauty" / "tiger-seed0"
    (path / "history.json").write_text(json.dumps(HISTORY))
    assert "TIGER" in quality_plot(stored_runs(tmp_path, "beauty"))
    metrics = Metrics.load(path / "metrics.json")
    dataclasses.replace(metrics, machine={"gpu": "NVIDIA H200"}).save(path / "metrics.json")
    with pytest.raises(DataError, match="nothing to draw"):
        quality_plot(stored_runs(tmp_path, "beauty"))


def test_the_plot_of_this_project_is_what_its_stored_runs_give():
    plot = ROOT / "docs" / "plots" / "quality-beauty.svg"
    assert main([str(ROOT / "benches" / "results"), "beauty", str(plot), "--check"]) == 0
    drawing = ElementTree.fromstring(plot.read_text())
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    names = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert {"RQTransformer", "SASRec", "TIGER"} <= set(names)
