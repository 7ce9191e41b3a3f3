import dataclasses
import json

import polars as pl
import pytest

from sidkit.data import Dataset, Spread, cyclic_world, load_dataset, statistics


def test_everything_counted_by_hand():
    items = pl.DataFrame(
        {
            "item_id": ["a", "b", "c", "d"],
            "title": ["A", None, " ", "D"],
            "tags": [["x"], [], None, ["y"]],
            "n": [1] * 4,
        }
    )
    events = pl.DataFrame(
        {"user_id": [1, 1, 1, 1, 2], "item_id": ["a", "b", "a", "c", "a"], "t_rel": [0, 0, 5, 5, 5]}
    )
    counted = statistics(Dataset("small", items, events))
    assert dataclasses.asdict(counted) == {
        "name": "small",
        "users": 2,
        "items": 4,
        "interactions": 5,
        "unused_items": 1,
        "short_users": 1,
        "user_events": {"min": 1, "median": 2.5, "mean": 2.5, "max": 4},
        "item_events": {"min": 0, "median": 1.0, "mean": 1.25, "max": 3},
        "density": 0.5,
        "repeats": 0.2,
        "order_column": "t_rel",
        "ties": 0.4,
        "text_coverage": {"title": 0.5, "tags": 0.5},
    }
    assert json.loads(json.dumps(dataclasses.asdict(counted)))["ties"] == 0.4


def test_the_world_has_no_ties():
    counted = statistics(cyclic_world().dataset)
    assert (counted.ties, counted.repeats, counted.short_users) == (0, 0, 0)
    assert isinstance(counted.user_events, Spread)


@pytest.mark.data
def test_beauty_has_the_days_that_its_readme_tells_of(beauty):
    counted = statistics(load_dataset(beauty))
    assert (counted.user_events.min, counted.user_events.median, counted.user_events.max) == (5, 6, 204)
    assert counted.repeats == 0
    assert 0.35 < counted.ties < 0.45
    assert counted.text_coverage["title"] == (12_101 - 7) / 12_101
