"""The split that a dataset brings along in a column."""

import warnings

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.data import Dataset
from sidkit.errors import DataError

NAMES = (("train", "Training"), ("validation", "VALID", "val", " dev "), ("test", "Testing"))
#: User, item, time and mark of some events; a mark is 0 for training, 1 for validation, 2 for test.
EVENTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 5), st.integers(0, 2)),
    min_size=1,
    max_size=25,
)


def dataset_of(events):
    users, items, times, marks = zip(*events, strict=True)
    labels = [NAMES[mark][place % len(NAMES[mark])] for place, mark in enumerate(marks)]
    columns = {"user_id": users, "item_id": items, "timestamp": times, "split": labels}
    return Dataset("given", pl.DataFrame({"item_id": range(10)}), pl.DataFrame(columns))


def examples(part):
    rows = zip(part.users.tolist(), part.histories, part.targets.tolist(), strict=True)
    return [(user, history.tolist(), target) for user, history, target in rows]


def by_hand(events):
    """Training histories, examples of validation and test, and the number of skipped events: the slow way."""
    users = list(dict.fromkeys(event[0] for event in events))
    rows = [sorted((e for e in events if e[0] == user), key=lambda e: (e[2], e[3])) for user in users]
    if all(mark != 1 for *_, mark in events):
        for row in rows:
            training = [place for place, event in enumerate(row) if event[3] == 0]
            if len(training) >= 2:
                row[training[-1]] = (*row[training[-1]][:3], 1)
    train = [[item for _, item, _, mark in row if mark == 0] for row in rows]
    parts, skipped = {1: [], 2: []}, 0
    for user, row in enumerate(rows):
        for place, (_, item, _, mark) in enumerate(row):
            history = [event[1] for event in row[:place] if event[3] < mark]
            if mark and history:
                parts[mark].append((user, history, item))
            skipped += bool(mark) and not history
    return train, parts[1], parts[2], skipped


@given(EVENTS)
def test_the_given_split(events):
    train, validation, test, skipped = by_hand(events)
    dataset = dataset_of(events)
    if not (validation and test):
        with pytest.raises(
            DataError, match=r"no (validation|test) examples: expected marked events of users"
        ):
            dataset.split("given")
        return
    split = dataset.split("given")
    assert [row.tolist() for row in split.train] == train
    assert examples(split.validation) == validation
    assert examples(split.test) == test
    assert split.skipped == skipped
    seen = {item for row in train for item in row}
    assert split.unseen_test_targets == sum(target not in seen for *_, target in test)
    assert split.train.times.shape == split.train.values.shape


def test_what_the_split_says_of_itself():
    events = [(0, 1, 0, 0), (0, 2, 1, 1), (0, 9, 2, 2), (1, 1, 5, 2), (1, 2, 3, 0), (2, 1, 0, 2)]
    split = dataset_of(events).split("given")
    assert repr(split) == (
        "Split('given': 2 training events, 1 validation and 2 test examples, "
        "1 test targets never occur in training, 1 marked events skipped)"
    )
    assert (split.test.split, split.test.part, split.test.dataset) == ("given", "test", "given")
    assert (split.validation.part, split.kind) == ("validation", "given")


def test_training_precedes_the_targets_of_the_same_time():
    """A file may list the test event first; days are often the only times there are."""
    events = [(0, 3, 0, 2), (0, 2, 0, 1), (0, 1, 0, 0)]
    for ties in ("source", "shuffle"):
        split = dataset_of(events).split("given", ties=ties)
        assert examples(split.validation) == [(0, [1], 2)]
        assert examples(split.test) == [(0, [1, 2], 3)]


def test_another_split_of_the_same_dataset_is_a_warning():
    dataset = dataset_of([(0, item, item, 0) for item in range(5)])
    with pytest.warns(
        UserWarning, match="has a column `split`, which the leave_last_out split ignores"
    ) as told:
        dataset.split()
    assert len(told) == 1 and told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Dataset("plain", dataset.items, dataset.interactions.drop("split")).split()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            None,
            r"the interactions of `given` have no given split: expected a column `split`, got user_id, .*",
        ),
        (["train", "fold 3", "test"], r"expected train, training, .*, got 'fold 3' in row 1 and 0 more"),
        (["train", None, None], r"got None in row 1 and 1 more"),
        ([0, 1, 2], r"got 0 in row 0 and 2 more"),
    ],
)
def test_labels_that_are_none(labels, message):
    log = dataset_of([(0, 1, 0, 0), (0, 2, 1, 1), (0, 3, 2, 2)]).interactions.drop("split")
    if labels is not None:
        log = log.with_columns(split=pl.Series(labels))
    with pytest.raises(DataError, match=message):
        Dataset.from_frames(log, name="given").split("given")


def test_an_empty_part_names_the_need():
    with pytest.raises(DataError, match=r"given split of `given` has no test examples"):
        dataset_of([(0, 1, 0, 0), (0, 2, 1, 1)]).split("given")


def test_large_logs_are_split_by_arrays():
    rng = np.random.default_rng(0)
    events = 200_000
    log = pl.DataFrame(
        {
            "user_id": rng.integers(20_000, size=events),
            "item_id": rng.integers(1000, size=events),
            "timestamp": rng.integers(10**9, size=events),
            "split": rng.choice(["train", "train", "valid", "test"], size=events),
        }
    )
    split = Dataset.from_frames(log).split("given")
    marked = dict(log["split"].value_counts().iter_rows())
    assert len(split.train.values) == marked["train"]
    assert len(split.validation) + len(split.test) + split.skipped == marked["valid"] + marked["test"]
