"""Rewards: values by hand, ids and rows, sums, and invalid input."""

import numpy as np
import polars as pl
import pytest
from tests.worlds import small_world

from sidkit.data import Dataset, Sequences
from sidkit.errors import ConfigError, DataError
from sidkit.train.align import (
    ItemAttribute,
    ListDiversity,
    LoggedFeedback,
    NextItem,
    Novelty,
    Prompts,
    WeightedSum,
)
from sidkit.train.align.rewards import evaluate_reward

IDS = pl.Series("item_id", ["a", "b", "c", "d"])
PROMPTS = Prompts(
    Sequences.from_rows([[0, 1], [2]]), IDS, np.array([0, 1], np.int32), np.array([3, 0], np.int32)
)
ROWS = np.array([[3, 2, -1], [0, 1, 3]])
ITEM_IDS = np.array([["d", "c", None], ["a", "b", "d"]], object)


def rated(values):
    """A dataset of two users who rate items a, b, c in this order."""
    events = pl.DataFrame(
        {
            "user_id": [1, 1, 1, 2, 2, 2],
            "item_id": ["a", "b", "c"] * 2,
            "timestamp": [0, 1, 2] * 2,
            "rating": values,
        }
    )
    return Dataset("rated", pl.DataFrame({"item_id": IDS, "title": IDS}), events)


def test_a_hit_of_the_next_item():
    assert evaluate_reward(NextItem(), PROMPTS, ROWS).tolist() == [[1, 0, 0], [1, 0, 0]]


def test_ids_and_rows_agree():
    rewards = [
        NextItem(),
        ItemAttribute([1.0, 2.0, 3.0, 4.0]),
        Novelty(np.array([8, 4, 2, 1])),
        ListDiversity(np.eye(4) + 0.1),
    ]
    for reward in rewards:
        np.testing.assert_allclose(reward(PROMPTS, ITEM_IDS), evaluate_reward(reward, PROMPTS, ROWS))


def test_a_callable_receives_lists_of_ids():
    seen = []

    def reward(histories, item_ids):
        seen.extend(histories)
        return [[float(item == "c") if item else 9.0 for item in row] for row in item_ids.tolist()]

    assert evaluate_reward(reward, PROMPTS, ROWS).tolist() == [[0, 1, 0], [0, 0, 0]]
    assert seen == [["a", "b"], ["c"]]


def test_prefixes_are_prompts():
    prompts = Prompts.of_prefixes(Sequences.from_rows([[0, 1, 2], [3], [2, 0]]), IDS)
    assert list(prompts) == [["a"], ["a", "b"], ["c"]]
    assert prompts.targets.tolist() == [1, 2, 0]
    assert prompts.users.tolist() == [0, 0, 2]
    assert prompts.lengths.tolist() == [1, 2, 1]


def test_novelty_is_that_of_the_metric():
    shares = (np.array([8, 4, 2, 1]) + 1) / 19
    found = evaluate_reward(Novelty(np.array([8, 4, 2, 1])), PROMPTS, ROWS)
    assert found[1] == pytest.approx(-np.log2(shares[[0, 1, 3]]))


def test_diversity_is_a_mean_distance_from_the_others():
    vectors = np.array([[1.0, 0], [0, 2.0], [3.0, 0], [-1.0, 0]])
    found = evaluate_reward(ListDiversity(vectors), PROMPTS, ROWS)
    assert found.tolist() == [[2, 2, 0], [1.5, 1, 1.5]]


def test_sums_have_weights():
    total = 2 * NextItem() + ItemAttribute([1.0, 2.0, 3.0, 4.0]) * 0.5
    assert evaluate_reward(total, PROMPTS, ROWS).tolist() == [[4, 1.5, 0], [2.5, 1, 2]]
    assert repr(total) == "2 * NextItem + 0.5 * ItemAttribute"
    with_function = NextItem() + (lambda histories, item_ids: np.ones(item_ids.shape))
    assert evaluate_reward(with_function, PROMPTS, ROWS)[1].tolist() == [2, 1, 1]


def test_feedback_is_doubly_robust():
    data = rated([5.0, 3.0, 1.0, 4.0, 4.0, 1.0])
    histories = data.histories()
    found = evaluate_reward(
        LoggedFeedback(data, histories, shrinkage=2.0), PROMPTS, np.array([[0, 1, 3], [2, 1, 3]])
    )
    # Relative to the users' means of 3: the ratings themselves where there are some, the model elsewhere.
    assert found == pytest.approx(np.array([[2.0, 0.0, 0.0], [-2.0, 1.0, 0.0]]))
    weighted = LoggedFeedback(data, histories, shrinkage=2.0, propensity_power=1.0, min_propensity=0.5)
    assert weighted.propensities.tolist() == [1, 1, 1, 0.5]
    assert weighted.model == pytest.approx([0.75, 0.25, -1.0, 0.0])


def test_feedback_reads_the_given_events_only():
    data = rated([5.0, 3.0, 1.0, 4.0, 4.0, 1.0])
    split = data.split("leave_last_out")
    found = evaluate_reward(LoggedFeedback(data, split.train), PROMPTS, np.array([[1, 2], [2, 2]]))
    assert found.tolist() == [[0, 0], [0, 0]]  # `train` holds item a only


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ItemAttribute([1.0, float("nan")]), DataError, "one finite number per item"),
        (lambda: ItemAttribute(["x"]), DataError, "expected numbers"),
        (lambda: ListDiversity(np.zeros((4, 2))), DataError, "no vector of zeros"),
        (lambda: WeightedSum([]), ConfigError, "a weighted sum is empty"),
        (lambda: WeightedSum([(1.0, 3)]), ConfigError, "a part of a reward is invalid"),
        (lambda: float("inf") * NextItem(), ConfigError, "a part of a reward is invalid"),
        (
            lambda: LoggedFeedback(rated([1.0] * 6), rated([1.0] * 6).histories(), column="x"),
            ConfigError,
            "`x`",
        ),
        (lambda: LoggedFeedback(rated([1.0] * 6), small_world().split.train), DataError, "another dataset"),
        (
            lambda: LoggedFeedback(rated([1.0] * 6), rated([1.0] * 6).histories(), min_propensity=0.0),
            ConfigError,
            "min_propensity",
        ),
    ],
)
def test_invalid_rewards(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (lambda histories, item_ids: np.zeros(3), "has the wrong shape"),
        (lambda histories, item_ids: np.full(item_ids.shape, np.nan), "expected finite numbers, got nan"),
        (lambda histories, item_ids: "good", "returned no numbers"),
        (ItemAttribute([1.0, 2.0]), "another catalogue"),
    ],
)
def test_rewards_with_invalid_values(reward, message):
    with pytest.raises(DataError, match=message):
        evaluate_reward(reward, PROMPTS, ROWS)
