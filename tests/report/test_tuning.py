"""Tables of searches for settings."""

import json

import pytest

from sidkit.errors import DataError, FormatError
from sidkit.report.tables.experiments.tuning import tuning_table

KEY = "recommenders.sasrec.dropout"
LAYERS = "recommenders.sasrec.layers"


def store(results, text):
    folder = results / "tuning" / "ring"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sasrec.json").write_text(text)


def found(trials):
    rows = [
        {"trial": place, "value": value, "settings": {KEY: dropout, LAYERS: 2}}
        for place, (dropout, value) in enumerate(trials)
    ]
    untuned = {KEY: 0.2, LAYERS: 2}
    return json.dumps({"model": "sasrec", "metric": "ndcg@10", "untuned": untuned, "trials": rows})


def test_the_best_trial_is_shown_beside_the_one_without_search(tmp_path):
    store(tmp_path, found([(0.2, 0.05), (0.41234, 0.07), (0.9, None)]))
    row = tuning_table(tmp_path, "ring").splitlines()[2]
    assert row == "| SASRec | 3 | NDCG@10 | 0.0500 | 0.0700 | `dropout` 0.412 |"


def test_settings_that_no_search_improves(tmp_path):
    store(tmp_path, found([(0.2, 0.05), (0.4, 0.03)]))
    assert tuning_table(tmp_path, "ring").splitlines()[2].endswith("| as without search |")


def test_missing_and_damaged_searches(tmp_path):
    with pytest.raises(DataError, match="no stored search for `ring`"):
        tuning_table(tmp_path, "ring")
    for text in ("{", "{}", found([])):
        store(tmp_path, text)
        with pytest.raises(FormatError, match="is damaged"):
            tuning_table(tmp_path, "ring")
