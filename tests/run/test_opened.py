"""A finished run, asked from Python."""

import re
import subprocess
import sys

import numpy as np
import pytest

import sidkit
from sidkit.errors import ConfigError, DataError, RunDirectoryError


@pytest.mark.parametrize("model", ["tiger", "sasrec", "decoderonly"])
def test_it_knows_what_follows(finished, model):
    run = sidkit.open_run(finished, model=model)
    for item in (0, 5, 22):
        items, scores = run.recommend([f"item-{item:02d}"], k=3, exclude_seen=False)
        assert items[0] == f"item-{item + 1:02d}"
        assert len(items) == len(scores) == 3
        assert scores.dtype == np.float32 and (np.diff(scores) <= 0).all()


def test_what_was_seen_is_left_out_unless_wanted(finished):
    run = sidkit.open_run(finished, model="popularity")
    history = [f"item-{item:02d}" for item in range(20)]
    items, _ = run.recommend(history, k=10)
    assert set(items) == {f"item-{item:02d}" for item in range(20, 24)}
    items, _ = run.recommend(history, k=24, exclude_seen=False)
    assert len(items) == 24


def test_a_user_is_the_same_as_the_users_history(finished):
    run = sidkit.open_run(finished)
    history = run.user_history(1003)
    assert history == run.user_history("1003")
    by_user, by_history = run.recommend_user(1003, k=5), run.recommend(history, k=5)
    assert by_user[0] == by_history[0]
    assert np.array_equal(by_user[1], by_history[1])
    last = int(history[-1].removeprefix("item-"))
    assert by_user[0][0] == f"item-{(last + 1) % 24:02d}"


def test_what_an_item_is(finished):
    run = sidkit.open_run(finished)
    assert run.label("item-06") == "green thing 6"
    assert "item-06" in run.table.items(run.sid("item-06"))
    assert repr(run) == f"Run({str(finished)!r}, model='rqtransformer')"


def test_mistakes(finished, tmp_path):
    run = sidkit.open_run(finished)
    with pytest.raises(DataError, match="item-99"):
        run.recommend(["item-99"])
    with pytest.raises(DataError, match="a list of item ids, not one string; hint: "):
        run.recommend(history="12")
    with pytest.raises(DataError, match="the history is empty"):
        run.recommend([])
    with pytest.raises(ConfigError, match="`k` must be 1 or more, it is 0"):
        run.recommend(["item-01"], k=0)
    with pytest.raises(DataError, match="99"):
        run.recommend_user(99)
    with pytest.raises(
        RunDirectoryError,
        match=re.escape("no model `gru`; trained there: popularity, sasrec, tiger, rqtransformer, decoder"),
    ):
        sidkit.open_run(finished, model="gru")
    with pytest.raises(
        RunDirectoryError, match=r"no model `sasrec-fused`;.* rqtransformer-dense, rqtransformer-fused"
    ):
        sidkit.open_run(finished, model="sasrec-fused")
    with pytest.raises(RunDirectoryError, match="there is no run in"):
        sidkit.open_run(tmp_path / "nothing")


def test_three_lines_of_python(finished):
    code = (
        "import sys, sidkit\n"
        "assert 'torch' not in sys.modules\n"
        f"run = sidkit.open_run({str(finished)!r})\n"
        "items, scores = run.recommend(history=['item-03', 'item-04'], k=1)\n"
        "print(items, len(scores))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "['item-05'] 1\n"


def test_ids_that_look_like_numbers_but_are_none(finished):
    run = sidkit.open_run(finished)
    with pytest.raises(DataError, match=r"there is no user '--5'; the ids are Int64"):
        run.recommend_user("--5")
