import numpy as np
import polars as pl
import pytest

from sidkit.data import Dataset
from sidkit.errors import ConfigError, DataError
from sidkit.ranking import impressions, split_by_time


def dataset(rows, columns=("user_id", "item_id", "timestamp", "rating")):
    log = pl.DataFrame(rows, schema=list(columns), orient="row")
    return Dataset("tiny", pl.DataFrame({"item_id": [10, 11, 12, 13]}), log)


TINY = dataset(
    [
        ("a", 10, 1, 5.0),
        ("a", 11, 2, 1.0),
        ("a", 12, 2, 4.0),
        ("b", 13, 3, 4.5),
        ("a", 13, 4, 2.0),
        ("b", 10, 5, 3.0),
    ]
)


def test_features_use_strictly_earlier_events():
    events = impressions(TINY, history=2)
    assert events.times.tolist() == [1, 2, 2, 3, 4, 5]
    assert events.labels.tolist() == [1, 0, 1, 1, 0, 0]
    assert events.histories.tolist() == [[-1, -1], [0, -1], [0, -1], [-1, -1], [2, 0], [3, -1]]
    np.testing.assert_allclose(np.expm1(events.context[:, 0]), [0, 1, 1, 0, 3, 1], atol=1e-6)
    np.testing.assert_allclose(events.context[:, 1], [1 / 2, 2 / 3, 2 / 3, 1 / 2, 3 / 5, 2 / 3])


def slow_history(dataset, events, row, length):
    log = dataset.interactions.filter(
        (pl.col("timestamp") < events.times[row])
        & (pl.col("user_id") == dataset.user_ids[int(events.users[row])])
        & (pl.col("rating") >= 4)
    )
    items = log.sort("timestamp", maintain_order=True)["item_id"].to_list()[::-1][:length]
    found = [dataset.item_ids.to_list().index(item) for item in items]
    return found + [-1] * (length - len(found))


def test_histories_are_those_of_a_slow_search():
    random = np.random.default_rng(0)
    rows = [
        (int(random.integers(5)), int(random.integers(10, 14)), int(time), float(random.integers(1, 6)))
        for time in random.permutation(60)
    ]
    log = dataset(rows)
    events = impressions(log, history=3)
    for row in range(len(events)):
        assert events.histories[row].tolist() == slow_history(log, events, row, 3)


def test_a_label_is_taken_as_it_is():
    events = impressions(
        dataset([("a", 10, 1, 0), ("a", 11, 2, 1)], ("user_id", "item_id", "timestamp", "label"))
    )
    assert events.labels.tolist() == [0, 1]


@pytest.mark.parametrize("column", ["rating", "label"])
@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_an_event_without_a_label_is_refused(column, nothing):
    rows = [("a", 10, 1, 1.0), ("a", 11, 2, nothing), ("b", 10, 3, 0.0), ("b", 12, 4, nothing)]
    with pytest.raises(
        DataError, match=f"`{column}` is missing in 2 of 4 interactions.*Drop these interactions"
    ):
        impressions(dataset(rows, ("user_id", "item_id", "timestamp", column)))


def test_periods_do_not_overlap_and_new_items_are_new():
    rows = [("a", 10 + (time >= 9) * 2 + time % 2, time, 4.0) for time in range(10)]
    events = impressions(dataset(rows))
    split = split_by_time(events, 4, validation=0.2, test=0.1)
    assert (len(split.train), len(split.validation), len(split.test)) == (7, 2, 1)
    assert (
        split.train.times.max() < split.validation.times.min() < split.test_begins == split.test.times.min()
    )
    assert split.train_counts.tolist() == [4, 3, 0, 0]
    assert split.new_items.tolist() == [False, False, True, True]


def test_events_of_one_moment_stay_together():
    rows = [("a", 10, time // 4, 4.0) for time in range(12)]
    split = split_by_time(impressions(dataset(rows)), 4, validation=0.3, test=0.2)
    assert set(split.train.times) | set(split.validation.times) | set(split.test.times) == {0, 1, 2}
    assert not set(split.validation.times) & set(split.test.times)


def test_what_cannot_be_split_is_refused():
    with pytest.raises(DataError, match="expected `timestamp` and `rating` or `label`"):
        impressions(dataset([("a", 10, 1)], ("user_id", "item_id", "timestamp")))
    with pytest.raises(DataError, match="`label` must be 0 or 1"):
        impressions(dataset([("a", 10, 1, 3)], ("user_id", "item_id", "timestamp", "label")))
    with pytest.raises(ConfigError, match="`history` must be at least 1"):
        impressions(TINY, history=0)
    with pytest.raises(ConfigError, match="a sum below 1"):
        split_by_time(impressions(TINY), 4, validation=0.5, test=0.5)
    with pytest.raises(DataError, match="a period of the time split is empty"):
        split_by_time(impressions(TINY).take(slice(0, 1)), 4)
