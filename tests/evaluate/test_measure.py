import numpy as np
import pytest

from sidkit.errors import ConfigError, DataError
from sidkit.evaluate import Predictions, cold_slices, compare, measure, user_slices


def predict(model, hits, seed=0, users=None):
    """Predict 10 of 50 items for each user; where `hits` is true the target is among them."""
    random = np.random.default_rng(seed)
    items = np.array([random.permutation(50)[:10] for _ in hits], np.int32)
    places = random.integers(0, 10, len(hits))
    targets = np.where(hits, items[np.arange(len(hits)), places], 50).astype(np.int32)
    scores = np.tile(-np.arange(10, dtype=np.float32), (len(hits), 1))
    users = np.arange(len(hits), dtype=np.int32) if users is None else users
    return Predictions(model, users, items, scores, targets)


HITS = np.arange(200) % 4 == 0


def test_every_metric_for_every_slice():
    slices = {"even": np.arange(200) % 2 == 0, "hit": HITS}
    results = measure(predict("m", HITS), 51, ks=(5, 10), slices=slices, popularity=np.arange(51))
    found = {(r.slice, r.metric): r for r in results}
    assert len(found) == len(results) == 3 * 6 + 2 * 7
    assert found["all", "recall@10"].value == 0.25
    assert found["even", "recall@10"].value == 0.5
    assert found["hit", "recall@10"].value == 1.0
    assert found["hit", "recall@10"].ci95 == (1.0, 1.0)
    low, high = found["all", "recall@10"].ci95
    assert 0.18 < low < 0.25 < high < 0.32
    assert found["all", "coverage@10"].value == pytest.approx(50 / 51)
    assert found["all", "coverage@10"].ci95 is None
    shown = predict("m", HITS).items[:, :5]
    assert found["all", "cold@5"].value == pytest.approx((shown == 0).mean())
    assert {r.model for r in results} == {"m"}


def test_several_rows_of_a_user_widen_the_interval():
    made = predict("m", np.arange(200) >= 100)
    alone = {r.metric: r for r in measure(made, 51, ks=(10,))}["recall@10"]
    paired = Predictions(
        made.model, np.arange(200, dtype=np.int32) // 20, made.items, made.scores, made.targets
    )
    together = {r.metric: r for r in measure(paired, 51, ks=(10,))}["recall@10"]
    assert together.value == alone.value == 0.5
    assert together.ci95[1] - together.ci95[0] > 2 * (alone.ci95[1] - alone.ci95[0])


def test_a_paired_difference_sees_what_two_intervals_hide():
    better = predict("better", HITS)
    worse = Predictions("worse", better.users, better.items.copy(), better.scores, better.targets)
    worse.items[0], worse.items[4] = np.arange(40, 50), np.arange(40, 50)
    lost = [i for i in (0, 4) if better.targets[i] not in worse.items[i]]
    assert lost
    gain = {c.metric: c for c in compare(better, worse, 51)}["recall@10"]
    assert (gain.model, gain.baseline) == ("better", "worse")
    assert gain.difference == pytest.approx(len(lost) / 200)
    own = {r.metric: r for r in measure(better, 51, ks=(10,))}["recall@10"]
    assert gain.ci95[1] - gain.ci95[0] < 0.5 * (own.ci95[1] - own.ci95[0])
    back = {c.metric: c for c in compare(worse, better, 51)}["recall@10"]
    assert back.difference == -gain.difference


def test_a_model_does_not_differ_from_itself():
    for comparison in compare(predict("a", HITS), predict("b", HITS), 51, ks=(5, 10)):
        assert comparison.difference == 0.0 and comparison.ci95 == (0.0, 0.0)
        assert not comparison.significant


def test_significance_is_an_interval_without_zero():
    all_hit, none = predict("all", np.ones(50, bool)), predict("none", np.ones(50, bool))
    none.items[:] = np.arange(40, 50)
    none.targets[:] = all_hit.targets
    gain = compare(all_hit, none, 51)[0]
    assert gain.significant and gain.ci95[0] > 0


def test_other_users_are_not_compared():
    with pytest.raises(ConfigError) as caught:
        compare(predict("a", HITS), predict("b", HITS, seed=1), 51)
    assert str(caught.value) == (
        "`a` and `b` have different users or targets: expected the same ones for a paired comparison. "
        "Use the same data, split and order of tied timestamps for both"
    )


@pytest.mark.parametrize(
    ("slices", "error", "message"),
    [
        ({"all": HITS}, ConfigError, "the slice name `all` is reserved for all users. Use another name"),
        (
            {"few": HITS[:9]},
            DataError,
            "slice `few` must be bool (200,) with at least one user, got bool (9,) with 3",
        ),
        (
            {"none": HITS & False},
            DataError,
            "slice `none` must be bool (200,) with at least one user, got bool (200,) with 0",
        ),
    ],
)
def test_bad_slices(slices, error, message):
    with pytest.raises(error) as caught:
        measure(predict("m", HITS), 51, ks=(10,), slices=slices)
    assert str(caught.value) == message


def test_slices_part_the_users():
    lengths = np.array([1, 4, 5, 9, 10, 19, 20, 500])
    popularity = np.array([0, 1, 5, 6, 20, 21, 100, 101])
    slices = user_slices(lengths, popularity)
    assert {name: np.flatnonzero(mask).tolist() for name, mask in slices.items()} == {
        "history 1-4": [0, 1],
        "history 5-9": [2, 3],
        "history 10-19": [4, 5],
        "history 20+": [6, 7],
        "target 0": [0],
        "target 1-5": [1, 2],
        "target 6-20": [3, 4],
        "target 21-100": [5, 6],
        "target 101+": [7],
    }


def test_cold_targets_have_no_training_event():
    slices = cold_slices(np.array([0, 3, 1, 0]))
    assert {name: mask.tolist() for name, mask in slices.items()} == {
        "warm": [False, True, True, False],
        "cold": [True, False, False, True],
    }
    assert cold_slices(np.array([0, 0])) == cold_slices(np.array([2, 1])) == {}


def test_slices_without_users_are_left_out():
    assert list(user_slices(np.array([30, 40]))) == ["history 20+"]
    assert user_slices() == {}


def test_slices_with_wrong_bounds():
    with pytest.raises(ConfigError, match=r"bounds of history slices must be increasing, got \[5, 1\]"):
        user_slices(np.array([1]), history_bounds=(5, 1))
    with pytest.raises(DataError, match="history slices start at 2, got a user with 1"):
        user_slices(np.array([2, 1]), history_bounds=(2, 3))
