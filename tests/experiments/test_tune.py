"""Hyperparameter search: settings drawn from a space, and trials that are runs."""

import json
import re

import pytest
from tests.experiments.test_store import SASREC
from tests.run.world import write_world

from sidkit.errors import ConfigError, RunDirectoryError
from sidkit.experiments.tune import Range, read_space, search, tune
from sidkit.run import RunDirectory, build_config, read_config

pytest.importorskip("optuna")

SPACE = {"x": Range(-4.0, 4.0), "n": Range(1, 9), "kind": Range(choices=("a", "b"))}


def hill(number, settings):
    """Highest, 0, at x = 1, n = 5, kind b."""
    return -((settings["x"] - 1) ** 2) - abs(settings["n"] - 5) - (settings["kind"] != "b")


def test_the_top_of_a_hill_is_found(tmp_path):
    found = search(SPACE, hill, tmp_path, trials=60, seed=1)
    assert len(found) == 60 and found[0].value > -1.0
    assert found[0].value > max(trial.value for trial in found if trial.number < 5)
    assert [trial.value for trial in found] == sorted((trial.value for trial in found), reverse=True)
    assert all(isinstance(trial.settings["n"], int) for trial in found)


def test_an_interrupted_search_is_the_same_search(tmp_path):
    whole = search(SPACE, hill, tmp_path / "whole", trials=8)
    drawn = []

    def interrupted(number, settings):
        drawn.append(number)
        if drawn == [0, 1, 2, 3]:
            raise KeyboardInterrupt
        return hill(number, settings)

    with pytest.raises(KeyboardInterrupt):
        search(SPACE, interrupted, tmp_path / "parts", trials=8)
    parts = search(SPACE, interrupted, tmp_path / "parts", trials=8)
    assert drawn == [0, 1, 2, 3, 3, 4, 5, 6, 7]
    assert [(t.number, t.settings, t.value) for t in parts] == [
        (t.number, t.settings, t.value) for t in whole
    ]


def test_settings_that_contradict_fail_one_trial(tmp_path):
    def picky(number, settings):
        if number == 1:
            raise ConfigError("no")
        return hill(number, settings)

    found = search(SPACE, picky, tmp_path, trials=3)
    assert [trial.value is None for trial in found] == [False, False, True]
    assert found[-1].number == 1


def test_another_search_in_the_same_folder(tmp_path):
    search(SPACE, hill, tmp_path, trials=1)
    with pytest.raises(RunDirectoryError, match="holds a search over another space"):
        search({"x": Range(0.0, 1.0)}, hill, tmp_path, trials=2)


def test_spaces(tmp_path):
    file = tmp_path / "space.toml"
    file.write_text(
        "recommenders.sasrec.learning_rate = { low = 1e-4, high = 1e-2, log = true }\n"
        "recommenders.sasrec.d_model = [32, 64]\n"
    )
    assert read_space(file) == {
        "recommenders.sasrec.learning_rate": Range(1e-4, 1e-2, True),
        "recommenders.sasrec.d_model": Range(choices=(32, 64)),
    }
    for text, message in (
        (
            "recommenders.sasrec.learning_rat = [1.0]",
            "there is no setting `recommenders.sasrec.learning_rat`",
        ),
        ("recommenders.sasrec.layers = 3", "`recommenders.sasrec.layers` is 3; a range is"),
        ("recommenders.sasrec.layers = { low = 3, high = 1 }", "must have low < high"),
        ("recommenders.sasrec.layers = { low = 1, high = 3, step = 1 }", "a range is"),
        ("", "has no setting to search over"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigError, match=re.escape(message)):
            read_space(file)
    file.unlink()
    with pytest.raises(ConfigError, match=r"there is no file .* of a search space; a range is"):
        read_space(file)


def test_trials_are_runs_evaluated_on_validation(tmp_path):
    world = write_world(tmp_path / "ring")
    config = build_config(assignments=[f"data.source={world}", *SASREC])
    # A rate at which nothing is learned, and one that is known to do.
    space = {"recommenders.sasrec.learning_rate": Range(choices=(1e-9, 1e-2))}
    found = tune(config, space, tmp_path / "search", model="sasrec", trials=5)
    rates = {trial.settings["recommenders.sasrec.learning_rate"] for trial in found}
    assert rates == {1e-9, 1e-2} and found[0].settings["recommenders.sasrec.learning_rate"] == 1e-2
    run = RunDirectory(found[0].directory)
    assert list(run.records) == ["data", "train.sasrec"]
    history = json.loads((found[0].directory / "models" / "sasrec" / "history.json").read_text())
    assert found[0].value == max(entry["metrics"]["ndcg@10"] for entry in history["evaluations"])
    assert read_config(tmp_path / "search" / "best.toml").recommenders["sasrec"].learning_rate == 1e-2


def test_a_model_without_training_steps_is_evaluated_on_validation(tmp_path):
    world = write_world(tmp_path / "ring")
    assignments = [f"data.source={world}", f"embed.vectors={world / 'vectors.npy'}"]
    space = {
        "recommenders.transition_graph.window": Range(1, 10),
        "recommenders.transition_graph.popularity": Range(choices=(0.0, 50.0)),
    }
    config = build_config(assignments=assignments)
    found = tune(config, space, tmp_path / "search", model="transition_graph", trials=4)
    summary = json.loads((tmp_path / "search" / "trials.json").read_text())
    assert [row["value"] for row in summary["trials"]] == [trial.value for trial in found]
    untuned = {"recommenders.transition_graph.window": 10, "recommenders.transition_graph.popularity": 0.0}
    assert summary["untuned"] == untuned
    assert next(trial for trial in found if trial.number == 0).settings == untuned
    worst = [trial for trial in found if trial.settings["recommenders.transition_graph.popularity"] == 50.0]
    assert worst and max(trial.value for trial in worst) < found[0].value


def test_the_first_trial_is_drawn_if_the_space_lacks_its_settings(tmp_path):
    found = search(SPACE, hill, tmp_path, trials=1, first={"x": 9.0, "n": 5, "kind": "b"})
    assert found[0].settings["x"] <= 4.0
    assert Range(1, 9).contains(9) and not Range(1, 9).contains(True) and not Range(1.0, 2.0).contains(None)


def test_what_cannot_be_tuned(tmp_path):
    with pytest.raises(ConfigError, match="`popularity` has nothing to tune"):
        tune(build_config(), SPACE, tmp_path, model="popularity")
    with pytest.raises(ConfigError, match="validation measures"):
        tune(build_config(), SPACE, tmp_path, model="sasrec", metric="coverage@10")
