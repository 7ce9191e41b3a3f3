"""Recommendations by a finished run."""

import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

import sidkit
from sidkit.errors import ConfigError, DataError, RunDirectoryError


@pytest.mark.parametrize("model", ["tiger", "sasrec", "decoderonly"])
def test_it_knows_the_next_item(finished, model):
    run = sidkit.open_run(finished, model=model)
    for item in (0, 5, 22):
        ids, scores = run.recommend([f"item-{item:02d}"], k=3, exclude_seen=False)
        assert ids[0] == f"item-{item + 1:02d}"
        assert ids.shape == scores.shape == (3,)
        assert scores.dtype == np.float32 and (np.diff(scores) <= 0).all()


def test_a_batch_is_the_same_as_its_histories(finished):
    run = sidkit.open_run(finished)
    histories = [["item-03"], ["item-07", "item-08"], ["item-20", "item-21", "item-22"]]
    ids, scores = run.recommend(histories, k=4)
    assert ids.shape == scores.shape == (3, 4)
    assert ids[:, 0].tolist() == ["item-04", "item-09", "item-23"]
    for row, history in enumerate(histories):
        alone, own = run.recommend(history, k=4)
        assert alone.tolist() == ids[row].tolist()
        np.testing.assert_allclose(own, scores[row], rtol=1e-4, atol=1e-5)


def test_seen_items_are_excluded_by_default(finished):
    run = sidkit.open_run(finished, model="popularity")
    history = [f"item-{item:02d}" for item in range(20)]
    ids, scores = run.recommend(history, k=10)
    assert set(ids[:4]) == {f"item-{item:02d}" for item in range(20, 24)}
    assert ids[4:].tolist() == [None] * 6 and np.isneginf(scores[4:]).all()
    assert len(set(run.recommend(history, k=24, exclude_seen=False)[0])) == 24


@pytest.mark.parametrize("model", ["rqtransformer", "sasrec", "popularity"])
def test_filters(finished, model):
    run = sidkit.open_run(finished, model=model)
    out = [f"item-{item:02d}" for item in range(4, 20)]
    ids, _ = run.recommend(["item-03"], k=7, exclude=out)
    assert sorted(ids) == [f"item-{item:02d}" for item in (0, 1, 2, 20, 21, 22, 23)]
    ids, _ = run.recommend(["item-03"], k=3, allow=["item-09", "item-04", "item-03"])
    assert set(ids) == {"item-09", "item-04", None}
    per_history, _ = run.recommend([["item-03"], ["item-05"]], k=1, exclude=[["item-04"], []])
    assert per_history[0, 0] != "item-04"


@pytest.mark.parametrize("scoring", ["sid", "exact", "fused"])
def test_scorings(finished, scoring):
    run = sidkit.open_run(finished)
    assert run.recommender().scorings == ("sid", "exact", "fused")
    assert run.recommend(["item-03"], k=1, scoring=scoring)[0].tolist() == ["item-04"]
    with pytest.raises(ConfigError, match="scoring"):
        run.recommend(["item-03"], scoring="best")


def test_unknown_items_are_skipped_and_empty_histories_get_popular_items(finished):
    run = sidkit.open_run(finished)
    with pytest.warns(UserWarning, match="item-99"):
        ids, _ = run.recommend(["item-99", "item-03"], k=1)
    assert ids.tolist() == ["item-04"]
    popular, _ = sidkit.open_run(finished, model="popularity").recommend([], k=3)
    assert run.recommend([], k=3)[0].tolist() == popular.tolist()
    batch, _ = run.recommend([["item-03"], []], k=3)
    assert batch[0, 0] == "item-04" and batch[1].tolist() == popular.tolist()


def test_users_are_the_same_as_their_histories(finished):
    run = sidkit.open_run(finished)
    history = run.user_history(1003)
    assert history == run.user_history("1003")
    by_user, by_history = run.recommend_users(1003, k=5), run.recommend(history, k=5)
    assert by_user[0].tolist() == by_history[0].tolist()
    assert np.array_equal(by_user[1], by_history[1])
    last = int(history[-1].removeprefix("item-"))
    assert by_user[0][0] == f"item-{(last + 1) % 24:02d}"
    both, scores = run.recommend_users([1004, 1003], k=5)
    assert both.shape == scores.shape == (2, 5) and both[1].tolist() == by_user[0].tolist()


def test_all_models_of_a_run(finished):
    run = sidkit.open_run(finished)
    assert run.models == ("popularity", "sasrec", "tiger", "rqtransformer", "decoderonly")
    assert run.model == "rqtransformer"
    for name in run.models:
        recommender = run.recommender(name)
        assert recommender.method == name and recommender is run.recommender(name)


def test_facts_of_an_item(finished):
    run = sidkit.open_run(finished)
    assert run.title("item-06") == "green thing 6"
    assert "item-06" in run.sids.items(run.sid("item-06"))
    assert len(run.trie) == len(run.sids) == 24
    assert repr(run) == f"Run({str(finished)!r}, model='rqtransformer')"


def test_a_used_run_can_be_pickled(finished):
    run = sidkit.open_run(finished, model="sasrec")
    before = run.recommend(["item-03"], k=3)
    again = pickle.loads(pickle.dumps(run))
    assert again.model == "sasrec"
    for one, other in zip(before, again.recommend(["item-03"], k=3), strict=True):
        assert one.tolist() == other.tolist()


def test_mistakes(finished, tmp_path):
    run = sidkit.open_run(finished)
    with pytest.raises(DataError, match="histories have the wrong form"):
        run.recommend("12")
    with pytest.raises(ConfigError, match="`k` is invalid: expected an integer >= 1, got 0"):
        run.recommend(["item-01"], k=0)
    with pytest.raises(DataError, match="99"):
        run.recommend_users(99)
    names = "no model `gru`; trained there: popularity, sasrec, tiger, rqtransformer, decoder"
    with pytest.raises(RunDirectoryError, match=re.escape(names)):
        sidkit.open_run(finished, model="gru")
    with pytest.raises(RunDirectoryError, match=re.escape(names)):
        run.recommender("gru")
    with pytest.raises(RunDirectoryError, match="there is no run in"):
        sidkit.open_run(tmp_path / "nothing")


def test_three_lines_of_python(finished):
    code = (
        "import sys, sidkit\n"
        "assert 'torch' not in sys.modules\n"
        f"run = sidkit.open_run({str(finished)!r})\n"
        "ids, scores = run.recommend(['item-03', 'item-04'], k=1)\n"
        "print(ids.tolist(), len(scores))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "['item-05'] 1\n"


def test_ids_that_look_like_numbers_but_are_none(finished):
    run = sidkit.open_run(finished)
    with pytest.raises(DataError, match="--5"):
        run.recommend_users("--5")
