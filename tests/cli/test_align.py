"""`sidkit align`: an aligned model of a run, its plot, and mistakes."""

import json
import xml.etree.ElementTree as ET

import pytest

import sidkit
from sidkit.report.collect import read_run
from sidkit.report.html.page import page

FEW = ["--set", "steps=4", "--set", "evaluate_every_steps=2", "--set", "batch_size=16", "--set", "beta=0.2"]


def test_a_model_of_a_run_is_aligned(sid, run, tmp_path):
    code, said, _ = sid(
        "align", run, "--method", "dpo", "--reward", "next_item + 0.1 * novelty", *FEW, "--ndcg-loss", "0.9"
    )
    assert code == 0
    (place,) = (run / "aligned").iterdir()
    assert place.name.endswith("-dpo") and str(place).replace("\n", "") in said.replace("\n", "")
    record = json.loads((place / "alignment.json").read_text())
    assert [each["step"] for each in record["history"]["evaluations"]] == [0, 2, 4]
    assert record["reward"] == "1 * NextItem + 0.1 * Novelty"
    assert sidkit.load_model(place).alignment_.method["steps"] == 4
    drawn = ET.parse(place / "alignment.svg").getroot()
    assert drawn.tag.endswith("svg")
    assert "KL(policy" in (place / "alignment.svg").read_text()
    shown = page(read_run(run))
    assert "Alignment" in shown and "expected reward" in shown
    (place / "alignment.json").write_text("{}")
    assert "expected reward" not in page(read_run(run))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "ppo"], "unknown alignment method: expected one of grpo, dpo, ipo, sdpo, got `ppo`"),
        (["--reward", "clicks"], "unknown reward"),
        (["--reward", "much*novelty"], "the weight of a reward is invalid"),
        (["--reward", "item:nothing"], "the items have no column of numbers `nothing`"),
        (["--reward", "rating"], "no column of numbers `rating`"),
        (["--set", "stepz=3"], "unknown setting of `grpo`"),
        (["--set", "steps"], "expected `KEY=VALUE`"),
        (["--set", "steps=-1"], "steps"),
    ],
)
def test_mistakes(sid, run, arguments, message):
    code, _, wrong = sid("align", run, *arguments)
    assert code == 1
    assert message in wrong
    assert not (run / "aligned").exists()
