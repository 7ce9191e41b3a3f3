"""Recipes: their figures are the stored ones, and their settings those of the stored runs."""

import re
from pathlib import Path

import pytest

from sidkit.evaluate import Metrics
from sidkit.run import read_config, read_tables
from sidkit.run.config import flatten

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benches" / "results"
FIGURE = re.compile(r"# (\S+-seed\d+) (\S+): recall@10 (\d\.\d{4}), ndcg@10 (\d\.\d{4})")
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


def test_there_are_recipes():
    assert {path.stem for path in RECIPES} >= {"beauty", "office"}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_its_command_and_what_is_stored(recipe):
    head = [line for line in recipe.read_text().splitlines() if line.startswith("#")]
    assert any("sidkit run " in line and f"--config recipes/{recipe.name}" in line for line in head)
    figures = [found.groups() for line in head if (found := FIGURE.fullmatch(line))]
    assert figures
    for folder, model, recall, ndcg in figures:
        metrics = Metrics.load(RESULTS / folder / "metrics.json")
        found = [
            f"{metrics.find(model, name, exclude_seen=False).value:.4f}" for name in ("recall@10", "ndcg@10")
        ]
        assert found == [recall, ndcg]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_holds_the_settings_of_the_stored_run(recipe):
    settings = flatten(read_config(recipe))
    for folder in dict.fromkeys(FIGURE.findall(recipe.read_text())):
        stored = flatten(read_tables(RESULTS / folder[0] / "run.toml"))
        model = Path(folder[0]).name.partition("-")[0]
        sections = ("data.", "embed.", "tokenize.", "ids.", f"recommenders.{model}.", "decode.")
        kept = {key: value for key, value in stored.items() if key.startswith(sections)}
        del kept["data.source"]
        assert kept == {key: settings[key] for key in kept}
