"""A third-party package with a tokenizer and a recommender, used by name from the command line."""

import json
import os
import subprocess
import sys

import pytest

MODULE = '''
"""Tokenizer and recommender of a shop."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sidkit._settings import Count
from sidkit.recommenders import ExhaustiveRecommender
from sidkit.tokenizers import LSH


class ShopTokenizer(LSH):
    """LSH with another name."""

    method = "shop_lsh"


@dataclass(kw_only=True, eq=False, repr=False)
class Markov(ExhaustiveRecommender):
    """Transition counts of the last item."""

    method: ClassVar[str] = "markov"

    smoothing: Count = 1
    """Count of a transition that was never seen."""

    def _fit(self, data):
        self.transitions_ = np.full((data.items, data.items), self.smoothing, np.float32)
        for history in data.histories:
            np.add.at(self.transitions_, (history[:-1], history[1:]), 1)

    def _scores(self, histories):
        return self.transitions_[[int(history[-1]) for history in histories]]
'''
ENTRY_POINTS = """[sidkit.tokenizers]
shop_lsh = shop_models:ShopTokenizer

[sidkit.recommenders]
markov = shop_models:Markov
"""
METADATA = "Metadata-Version: 2.1\nName: shop-models\nVersion: 1.0\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A directory with the installed package: its module, and what an installer writes beside it."""
    path = tmp_path_factory.mktemp("site")
    (path / "shop_models.py").write_text(MODULE)
    information = path / "shop_models-1.0.dist-info"
    information.mkdir()
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    (information / "METADATA").write_text(METADATA)
    (information / "RECORD").write_text("")
    return path


@pytest.fixture(scope="module")
def sidkit(site):
    """Run the command line with the plug-in installed; returns exit code, standard output and error."""
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])

    def run(*arguments):
        command = [sys.executable, "-m", "sidkit", *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "200"}
        ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        return ended.returncode, ended.stdout, ended.stderr

    return run


SETTINGS = (
    "tokenize.method=shop_lsh",
    "tokenize.levels=2",
    "tokenize.codebook_size=64",
    "recommenders.use=markov,rqtransformer",
    "recommenders.markov.smoothing=2",
    "recommenders.rqtransformer.d_model=16",
    "recommenders.rqtransformer.layers=1",
    "recommenders.rqtransformer.heads=1",
    "recommenders.rqtransformer.max_steps=3",
    "recommenders.rqtransformer.evaluate_every_steps=3",
    "recommenders.rqtransformer.validate_users=50",
    "decode.beam=10",
    "decode.k=10",
    "evaluate.ks=[10]",
    "evaluate.bootstrap_samples=50",
)


def test_a_run_with_both(sidkit, tmp_path):
    out = tmp_path / "run"
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    code, said, wrong = sidkit("run", "ml-100k", "--out", out, *settings)
    assert code == 0, wrong
    assert "markov" in said.lower()
    metrics = json.loads((out / "metrics.json").read_text())
    assert {each["model"] for each in metrics["results"]} == {
        "markov",
        "rqtransformer",
        "rqtransformer-fused",
    }
    assert metrics["tokenizer"]["method"] == "shop_lsh"
    assert "markov" in (out / "report.html").read_text().lower()
    code, said, wrong = sidkit("recommend", out, "--user", "196", "-k", "3", "--model", "markov", "--json")
    assert code == 0, wrong
    assert len(json.loads(said)["recommendations"]) == 3


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("recommenders.markov.smothing=2", "did you mean `recommenders.markov.smoothing`?"),
        ("recommenders.markov.smoothing=0", "`recommenders.markov.smoothing`: input should be greater"),
        ("recommenders.use=markow", "there is no recommender `markow`; did you mean `markov`?"),
        ("tokenize.method=shop_lhs", "did you mean `shop_lsh`?"),
    ],
)
def test_its_settings_are_checked_like_built_in_ones(sidkit, tmp_path, setting, message):
    code, _, wrong = sidkit("run", "ml-100k", "--out", tmp_path / "run", "--set", setting)
    assert code == 1 and message in wrong
