import numpy as np
import polars as pl
import pytest

from sidkit.data import Histories, Sequences, cyclic_world
from sidkit.errors import DataError


def test_ids_in_ids_out():
    rows = [["soap", "comb"], [], ["comb", "towel", "soap"]]
    histories = Histories.from_ids(rows)
    assert histories.item_ids.to_list() == ["soap", "comb", "towel"]
    assert [histories.ids(row) for row in range(3)] == rows
    assert histories.lengths.tolist() == [2, 0, 3]
    again = Histories.from_ids(pl.Series(rows), pl.Series(["towel", "soap", "comb"]))
    assert [row.tolist() for row in again] == [[1, 2], [], [2, 0, 1]]
    assert Histories.from_ids([np.array([5, 3]), [3]]).item_ids.to_list() == [5, 3]
    assert Histories.from_ids(pl.Series([["x"], None, []])).lengths.tolist() == [1, 0, 0]
    assert len(Histories.from_ids([[], []]).values) == 0


def test_every_selection_keeps_ids_users_and_times():
    histories = cyclic_world(users=6).dataset.histories()
    assert isinstance(histories, Histories)
    for chosen, users in (
        (histories.take([4, 1, 1]), [4, 1, 1]),
        (histories.take(np.arange(6) % 2 == 0), [0, 2, 4]),
        (histories.tail(2), range(6)),
        (histories.head(3), range(6)),
        (histories.head(np.arange(6)), range(6)),
    ):
        assert isinstance(chosen, Histories)
        assert chosen.item_ids.equals(histories.item_ids)
        assert chosen.user_ids.to_list() == [histories.user_ids[user] for user in users]
        for row, user in enumerate(users):
            times = chosen.times[chosen.offsets[row] : chosen.offsets[row + 1]]
            whole = histories.times[histories.offsets[user] : histories.offsets[user + 1]]
            places = np.searchsorted(whole, times)
            assert np.array_equal(chosen[row], histories[user][places])
    assert histories == Sequences(histories.values, histories.offsets)
    assert type(histories.parts(3)) is Sequences


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"item_ids": pl.Series(["a"])},
            r"expected rows in 0\.\.0, got 1. Pass the ids of the whole catalogue",
        ),
        ({"user_ids": pl.Series([1, 2])}, r"`user_ids` does not fit the histories: expected 1 ids, got 2"),
        ({"times": np.arange(3)}, r"expected 2 times, got an array of shape \(3,\)"),
    ],
)
def test_parts_that_do_not_fit(changes, message):
    given = {"values": np.array([0, 1]), "offsets": np.array([0, 2]), "item_ids": pl.Series(["a", "b"])}
    with pytest.raises(DataError, match=message):
        Histories(**{**given, **changes})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["a", 1]], "item ids of histories have mixed types"),
        ([[1, None]], r"column `item_id` of `histories` has missing ids"),
        ([[1.5]], "expected integers or strings, got Float64"),
        ([["a"], ["z"]], r"1 item ids are unknown: expected ids such as 'a', 'b', got 'z'"),
        ([[1]], "item ids have the wrong type: expected String as in the catalogue, got Int64"),
    ],
)
def test_ids_that_are_none(rows, message):
    with pytest.raises(DataError, match=message):
        Histories.from_ids(rows, pl.Series(["a", "b"]))


def test_a_categorical_catalogue_is_one_of_strings():
    made = Histories.from_ids([["b"], ["a", "b"]], pl.Series(["a", "b"], dtype=pl.Categorical))
    assert made.values.tolist() == [1, 0, 1]
    assert made.item_ids.dtype == pl.String
