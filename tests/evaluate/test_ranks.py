import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.errors import ConfigError, DataError, FormatError
from sidkit.evaluate import Predictions, TargetRanks, user_metrics


def predict(model, places, k=10, items=40, exclude_seen=True):
    """Lists of random items in which the target of row i stands at `places[i]`, or nowhere for 0."""
    random = np.random.default_rng(len(places))
    targets = random.integers(items, size=len(places)).astype(np.int32)
    rows = np.array([random.permutation(np.delete(np.arange(items), t))[:k] for t in targets], np.int32)
    for row, place in enumerate(places):
        if place:
            rows[row, place - 1] = targets[row]
    scores = np.tile(-np.arange(k, dtype=np.float32), (len(places), 1))
    return Predictions(model, np.arange(len(places), dtype=np.int32), rows, scores, targets, exclude_seen)


@given(st.lists(st.integers(0, 10), min_size=1, max_size=30))
def test_ranks_give_the_metrics_of_the_lists(places):
    made = predict("tiger", places)
    ranks = TargetRanks.of([made], 40)
    assert ranks.ranks["tiger", True].tolist() == places
    for metric, values in user_metrics(made, 40, ks=(1, 5, 10)).items():
        np.testing.assert_array_equal(ranks.metric("tiger", metric), values)


def test_ranks_survive_a_file(tmp_path):
    lists = [
        predict("rq", [1, 0, 300], k=300, items=400),
        predict("rq-dense", [2, 1, 0], items=400),
        predict("rq", [0, 0, 7], items=400, exclude_seen=False),
    ]
    made = TargetRanks.of(lists, 400)
    made.save(tmp_path / "ranks.parquet")
    read = TargetRanks.load(tmp_path / "ranks.parquet")
    assert read.models == ["rq", "rq-dense"] and read.exclude_seen == (True, False)
    assert read.lengths == {("rq", True): 300, ("rq-dense", True): 10, ("rq", False): 10}
    assert {model: column.tolist() for model, column in read.ranks.items()} == {
        ("rq", True): [1, 0, 300],
        ("rq-dense", True): [2, 1, 0],
        ("rq", False): [0, 0, 7],
    }
    assert read.metric("rq", "recall@10").tolist() == [1, 0, 0]
    assert read.metric("rq", "recall@10", exclude_seen=False).tolist() == [0, 0, 1]
    included = read.under(False)
    assert included.models == ["rq"] and included.metric("rq", "recall@10").tolist() == [0, 0, 1]
    np.testing.assert_array_equal(read.targets, made.targets)
    read.check_same_examples(made)


def test_a_stored_run_of_all_users_of_beauty_is_small(tmp_path):
    random = np.random.default_rng(0)
    users, targets = np.arange(22363, dtype=np.int32), random.integers(12101, size=22363).astype(np.int32)
    ways = {
        (name, True): np.where(random.random(22363) < 0.2, random.integers(1, 51, 22363), 0)
        for name in ("sid", "dense", "fused")
    }
    TargetRanks(users, targets, ways, dict.fromkeys(ways, 50)).save(tmp_path / "ranks.parquet")
    assert (tmp_path / "ranks.parquet").stat().st_size < 200_000


def test_metrics_that_ranks_do_not_have():
    ranks = TargetRanks.of([predict("tiger", [1])], 40)
    with pytest.raises(
        ConfigError, match=r"cut-off beyond the lists of `tiger`: expected 1\.\.10, got `recall@20`"
    ):
        ranks.metric("tiger", "recall@20")
    with pytest.raises(ConfigError, match="unknown metric: expected recall, ndcg, mrr, got `coverage`"):
        ranks.metric("tiger", "coverage@10")
    with pytest.raises(ConfigError, match="no ranks of `sasrec`: expected one of tiger"):
        ranks.metric("sasrec", "recall@10")


def test_models_with_different_users():
    with pytest.raises(ConfigError, match="`a` and `b` have different users or targets"):
        TargetRanks.of([predict("a", [1, 2]), predict("b", [1, 2, 0])], 40)
    with pytest.raises(ConfigError, match="different users or targets"):
        TargetRanks.of([predict("a", [1])], 40).check_same_examples(
            TargetRanks.of([predict("a", [1, 1])], 40)
        )


def test_ranks_outside_the_lists():
    users = np.zeros(1, np.int32)
    with pytest.raises(DataError, match=r"ranks of `a` must be \(1,\), each in 0..10"):
        TargetRanks(users, users, {("a", True): np.array([11])}, {("a", True): 10})
    of_list = TargetRanks(users, users, {("a", True): [7]}, {("a", True): 10})
    assert of_list.ranks["a", True].tolist() == [7]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"user": [1], "target": [1]}, "expected the columns user, target and"),
        ({"user": [1], "target": [None], "rank a@5": [1]}, "expected no null values"),
        ({"user": [1], "target": [1], "rank a@5": [6]}, r"ranks of `a` must be \(1,\), each in 0..5"),
    ],
)
def test_foreign_files(tmp_path, frame, message):
    path = tmp_path / "ranks.parquet"
    types = {"user": pl.Int32, "target": pl.Int32, "rank a@5": pl.UInt32}
    pl.DataFrame(frame, schema={name: types[name] for name in frame}).write_parquet(path)
    with pytest.raises(FormatError, match=message):
        TargetRanks.load(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(FormatError, match="not a Parquet file of ranks"):
        TargetRanks.load(path)
