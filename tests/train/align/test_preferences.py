"""Preferences: from ids and ratings, and invalid ones."""

import numpy as np
import polars as pl
import pytest

from sidkit.data import Dataset
from sidkit.errors import ConfigError, DataError
from sidkit.train.align import Preferences

IDS = pl.Series("item_id", [10, 20, 30, 40])


def test_preferences_of_impressions():
    made = Preferences.from_ids([[10], [20, 10]], [20, 30], [[30, 40], [40]], IDS)
    assert made.chosen.tolist() == [1, 2]
    assert made.rejected.tolist() == [[2, 3], [3, -1]]
    assert list(made.take(np.array([1])).prompts) == [[20, 10]]
    assert repr(made) == "Preferences(2 histories, up to 2 items not preferred)"


def test_preferences_of_ratings_have_earlier_histories():
    events = pl.DataFrame(
        {
            "user_id": [1] * 4,
            "item_id": [10, 20, 30, 40],
            "timestamp": [0, 1, 2, 3],
            "rating": [3, 5, 1, 4],
        }
    )
    data = Dataset("rated", pl.DataFrame({"item_id": IDS}), events)
    made = Preferences.from_ratings(data, data.histories(), margin=2.0)
    pairs = zip(made.prompts, made.chosen.tolist(), made.rejected[:, 0].tolist(), strict=True)
    assert list(pairs) == [([10], 1, 2), ([10, 20], 3, 2)]
    with pytest.raises(ConfigError, match="no column of numbers `stars`"):
        Preferences.from_ratings(data, data.histories(), column="stars")
    with pytest.raises(ConfigError, match="`margin`"):
        Preferences.from_ratings(data, data.histories(), margin=0.0)
    with pytest.raises(DataError, match="gives no preferences"):
        Preferences.from_ratings(data, data.histories(), margin=10.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], []), "at least one history"),
        (([[10]], [99], [[20]]), "99"),
        (([[10]], [20], [[20]]), "contradicts itself"),
        (([[10]], [20], [[]]), "at least one that is not preferred|preferences hold unknown items"),
        (([[]], [20], [[10]]), "empty history"),
        (([[10]], [20, 30], [[10]]), "preferences are invalid"),
    ],
)
def test_invalid_preferences(arguments, message):
    with pytest.raises(DataError, match=message):
        Preferences.from_ids(*arguments, IDS)
