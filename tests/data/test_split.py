import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.data import Dataset, EvaluationSet, Sequences, cyclic_world
from sidkit.errors import ConfigError, DataError


def dataset_of(events):
    """Build from (user, item, time) rows; items 0 to 9."""
    users, items, times = zip(*events, strict=True)
    return Dataset(
        "made-up",
        pl.DataFrame({"item_id": range(10)}),
        pl.DataFrame({"user_id": users, "item_id": items, "timestamp": times}),
    )


def examples(part):
    rows = zip(part.users, part.histories, part.targets, strict=True)
    return [(int(user), history.tolist(), int(target)) for user, history, target in rows]


EVENTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(0, 6)), min_size=1, max_size=30)


def walks(events):
    """Each user's items in time order, users in order of first event: the slow way."""
    users = list(dict.fromkeys(user for user, _, _ in events))
    rows = [sorted((e for e in events if e[0] == user), key=lambda e: e[2]) for user in users]
    return [[(item, time) for _, item, time in row] for row in rows]


@given(EVENTS)
def test_leave_last_out(events):
    rows = [[item for item, _ in row] for row in walks(events)]
    asked = [(user, row) for user, row in enumerate(rows) if len(row) >= 3]
    if not asked:
        with pytest.raises(
            DataError, match="has no validation examples: expected users with three events or more, got none"
        ):
            dataset_of(events).split()
        return
    split = dataset_of(events).split()
    assert [row.tolist() for row in split.train] == [row[:-2] if len(row) >= 3 else row for row in rows]
    assert examples(split.validation) == [(user, row[:-2], row[-2]) for user, row in asked]
    assert examples(split.test) == [(user, row[:-1], row[-1]) for user, row in asked]


@given(EVENTS)
def test_global_time(events):
    times = sorted(time for _, _, time in events)
    first, second = (times[int(np.ceil(share * (len(times) - 1)))] for share in (0.5, 0.75))
    rows = walks(events)
    expected_valid, expected_test = [], []
    for user, row in enumerate(rows):
        for expected, start, end in ((expected_valid, first, second), (expected_test, second, np.inf)):
            past = [item for item, time in row if time < start]
            period = [item for item, time in row if start <= time < end]
            if past and period:
                expected.append((user, past, period[0]))
    try:
        split = dataset_of(events).split("global_time", validation_share=0.25, test_share=0.25)
    except DataError as error:
        assert "expected users with events both before and in the period, got none" in str(error)
        assert not (expected_valid and expected_test)
        return
    assert [row.tolist() for row in split.train] == [[i for i, time in row if time < first] for row in rows]
    assert examples(split.validation) == expected_valid
    assert examples(split.test) == expected_test


def test_shuffled_ties_stay_within_their_time():
    dataset = dataset_of([(0, item, 0 if item < 5 else 1) for item in range(10)])
    rows = [dataset.histories("shuffle", seed)[0].tolist() for seed in range(5)]
    assert all(sorted(row[:5]) == [0, 1, 2, 3, 4] for row in rows)
    assert len({tuple(row) for row in rows}) > 1
    assert rows[3] == dataset.histories("shuffle", 3)[0].tolist()
    assert dataset.histories("source", 3)[0].tolist() == list(range(10))


def test_position_orders_events_of_one_time():
    interactions = pl.DataFrame(
        {"user_id": [1, 1, 1], "item_id": [7, 8, 9], "t_rel": [0, 0, 5], "position": [1, 0, 2]}
    )
    dataset = Dataset("made-up", pl.DataFrame({"item_id": [9, 8, 7]}), interactions)
    assert dataset.histories()[0].tolist() == [1, 2, 0]


def test_the_ring_is_visible_in_every_example():
    world = cyclic_world()
    split = world.dataset.split()
    for part in (split.validation, split.test):
        last = part.histories.tail(1).values
        assert np.array_equal(part.targets, world.successors[last])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"kind": "random"},
            ConfigError,
            "expected one of leave_last_out, global_time, given, cold_items, got 'random'",
        ),
        ({"ties": "id"}, ConfigError, "`ties` is invalid: expected one of source, shuffle, got 'id'"),
        (
            {"kind": "global_time", "validation_share": 0.6, "test_share": 0.6},
            ConfigError,
            "expected numbers above 0 whose sum is below 1, got 0.6 and 0.6",
        ),
    ],
)
def test_invalid_settings(settings, error, message):
    with pytest.raises(error, match=message):
        cyclic_world().dataset.split(**settings)


def test_global_time_needs_absolute_time():
    dataset = cyclic_world().dataset
    relative = Dataset("made-up", dataset.items, dataset.interactions.rename({"timestamp": "t_rel"}))
    with pytest.raises(
        DataError, match=r"users of `made-up`: expected a column `timestamp`, got only `t_rel`"
    ):
        relative.split("global_time")


def test_an_evaluation_set_has_one_target_per_example():
    with pytest.raises(
        DataError, match=r"differ in length: expected one of each per example, got \(1,\), \(2,\), \(2,\)"
    ):
        EvaluationSet(np.array([0]), Sequences.from_rows([[1], [2]]), np.array([3, 4]))


def test_take_examples():
    part = EvaluationSet(np.array([4, 5, 6]), Sequences.from_rows([[1], [2, 3], []]), np.array([7, 8, 9]))
    assert examples(part.take([2, 1])) == [(6, [], 9), (5, [2, 3], 8)]
    assert examples(part.take(np.array([True, False, False]))) == [(4, [1], 7)]


def one_day_each(users=400):
    """Every user takes three of the ten items on one day; the file has them by item, as Amazon's has."""
    random = np.random.default_rng(1)
    return dataset_of(
        [(user, int(item), 0) for user in range(users) for item in np.sort(random.permutation(10)[:3])]
    )


def test_an_order_that_only_the_file_has_is_gone_after_the_shuffle():
    dataset = one_day_each()
    for ties, share in (("source", 1.0), ("shuffle", 0.5)):
        test = dataset.split(ties=ties, seed=7).test
        rises = test.targets > test.histories.tail(1).values
        # With the order of the file the next item is always a higher one; a fair coin of 400 throws is
        # within 0.1 of a half but for once in 20,000.
        assert abs(rises.mean() - share) < 0.1 * (share < 1) + 1e-9


def test_a_shuffle_loses_no_event_and_moves_the_parts_together():
    dataset = one_day_each(50)
    whole = [sorted(row.tolist()) for row in dataset.histories()]
    split = dataset.split(ties="shuffle", seed=3)
    for user, train, valid, test in zip(
        range(50), split.train, split.validation.targets, split.test.targets, strict=True
    ):
        assert sorted([*train.tolist(), int(valid), int(test)]) == whole[user]
        assert split.test.histories[user].tolist() == [*train.tolist(), int(valid)]
