import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.test_split import EVENTS, dataset_of, examples, walks

from sidkit.errors import ConfigError, DataError

#: Users 0 and 1 end with item 5, user 2 with item 3; user 3 has two events only.
WORLD = [
    *[(0, item, time) for time, item in enumerate([1, 2, 3, 5])],
    *[(1, item, time) for time, item in enumerate([5, 1, 4, 5])],
    *[(2, item, time) for time, item in enumerate([5, 2, 3])],
    *[(3, item, time) for time, item in enumerate([4, 5])],
]


def seed_that_draws(item):
    """Seed for which this item is the only one of the five that is held out."""
    dataset = dataset_of(WORLD)
    splits = ((seed, dataset.split("cold_items", share=0.2, seed=seed)) for seed in range(100))
    return next(seed for seed, split in splits if item in split.test_cold.targets and split.cold_items[item])


def test_a_world_checked_by_hand():
    split = dataset_of(WORLD).split("cold_items", share=0.2, seed=seed_that_draws(5))
    assert [row.tolist() for row in split.train] == [[1, 2], [1], [], [4]]
    assert split.train.times.tolist() == [0, 1, 1, 0]
    # User 2 has no warm event before the validation target, but one before the test target.
    assert examples(split.validation) == [(0, [1, 2], 3), (1, [1], 4)]
    assert examples(split.test) == [(0, [1, 2, 3], 5), (1, [1, 4], 5), (2, [2], 3)]
    assert split.skipped == 1
    # Item 3 was not held out, but without an event in training it is cold all the same.
    assert examples(split.test_cold) == examples(split.test) and len(split.test_warm) == 0
    assert examples(split.validation_cold) == [(0, [1, 2], 3)]
    assert examples(split.validation_warm) == [(1, [1], 4)]
    assert np.flatnonzero(split.cold_items).tolist() == [0, 3, 5, 6, 7, 8, 9]


def test_the_protocol_is_in_the_examples():
    dataset = dataset_of(WORLD)
    split = dataset.split("cold_items", share=0.2, seed=3)
    for part in (split.validation, split.test, split.test_cold):
        assert (part.split, part.cold_share, part.cold_seed) == ("cold_items", 0.2, 3)
        assert (part.ties, part.tie_seed) == ("source", 0)
    other = dataset.split(seed=3).test
    assert (other.cold_share, other.cold_seed) == (None, None)


@given(EVENTS, st.sampled_from([0.1, 0.3, 0.5, 0.9]), st.integers(0, 5))
def test_cold_items_are_held_out_of_everything_but_the_targets(events, share, seed):
    dataset, rows = dataset_of(events), [[item for item, _ in row] for row in walks(events)]
    try:
        split = dataset.split("cold_items", share=share, seed=seed)
    except DataError as error:
        assert "expected users with three events" in str(error) or "at least 2 items" in str(error)
        return
    items = {item for _, item, _ in events}
    draw = np.random.default_rng(seed).permutation(sorted(items))
    held_out = set(draw[: min(max(round(share * len(items)), 1), len(items) - 1)].tolist())

    def warm(row):
        return [item for item in row if item not in held_out]

    assert [row.tolist() for row in split.train] == [warm(row[:-2] if len(row) >= 3 else row) for row in rows]
    asked = [(user, row) for user, row in enumerate(rows) if len(row) >= 3]
    validation = [(user, warm(row[:-2]), row[-2]) for user, row in asked]
    test = [(user, warm(row[:-1]), row[-1]) for user, row in asked]
    assert examples(split.validation) == [each for each in validation if each[1]]
    assert examples(split.test) == [each for each in test if each[1]]
    assert split.skipped == sum(not each[1] for each in validation + test)
    # The parts are a partition, and cold is what has no event in training.
    trained = set(split.train.values.tolist())
    assert not trained & held_out
    assert split.unseen_test_targets == len(split.test_cold)
    for whole, cold, other in (
        (split.test, split.test_cold, split.test_warm),
        (split.validation, split.validation_cold, split.validation_warm),
    ):
        assert sorted(examples(cold) + examples(other)) == sorted(examples(whole))
        assert not set(cold.targets.tolist()) & trained
        assert set(other.targets.tolist()) <= trained
    again = dataset.split("cold_items", share=share, seed=seed)
    assert again.train == split.train and examples(again.test) == examples(split.test)


def test_a_smaller_share_holds_out_some_of_the_same_items():
    dataset = dataset_of([(user, item, item) for user in range(3) for item in range(10)])
    few, many = (dataset.split("cold_items", share=share, seed=1).cold_items for share in (0.2, 0.5))
    assert (few[:8] <= many[:8]).all()


def test_items_that_first_occur_later_are_cold():
    split = dataset_of([(0, 1, 0), (1, 2, 0), (0, 2, 6), (1, 3, 6), (0, 4, 8), (1, 1, 9)]).split(
        "global_time", validation_share=0.3, test_share=0.3
    )
    assert examples(split.validation_cold) == [(1, [2], 3)]
    assert examples(split.test_cold) == [(0, [1, 2], 4)]
    assert examples(split.test_warm) == [(1, [2, 3], 1)]


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan"), True, "0.1", None])
def test_invalid_shares(share):
    with pytest.raises(
        ConfigError, match=r"share.* is invalid: expected a (finite number|number between 0 and 1), got"
    ):
        dataset_of(WORLD).split("cold_items", share=share)


def test_one_item_cannot_be_held_out():
    with pytest.raises(DataError, match="expected at least 2 items with events, got 1"):
        dataset_of([(0, 1, time) for time in range(4)]).split("cold_items")
