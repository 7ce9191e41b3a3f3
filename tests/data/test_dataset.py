import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.data import Dataset, cyclic_world, dataset
from sidkit.errors import DataError

ITEMS = pl.DataFrame({"item_id": ["a", "b", "c"], "title": ["A", "B", "C"]})
EVENTS = pl.DataFrame({"user_id": [30, 30, 10], "item_id": ["c", "a", "c"], "position": [0, 1, 0]})


def test_ids_come_back_with_their_type():
    dataset = Dataset("d", ITEMS, EVENTS)
    assert dataset.user_ids.to_list() == [30, 10]
    assert dataset.user_ids.dtype == pl.Int64
    assert dataset.item_ids.to_list() == ["a", "b", "c"]
    assert dataset.user_index.tolist() == [0, 0, 1]
    assert dataset.item_index.tolist() == [2, 0, 2]
    assert [row.tolist() for row in dataset.histories()] == [[2, 0], [2]]
    assert repr(dataset) == "Dataset('d': 2 users, 3 items, 3 interactions)"


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt64, pl.Int32])
def test_integers_of_two_widths_are_the_same_ids(dtype):
    items = pl.DataFrame({"item_id": pl.Series([5, 3], dtype=dtype)})
    events = pl.DataFrame({"user_id": ["u"], "item_id": [3], "t_rel": [0]})
    dataset = Dataset("d", items, events)
    assert dataset.item_index.tolist() == [1]
    assert dataset.item_ids.dtype == dtype


def test_finding_ids():
    dataset = Dataset("d", ITEMS, EVENTS)
    assert dataset.find_items(["c", "a"]).tolist() == [2, 0]
    assert dataset.find_users([10, "30", np.int64(30)]).tolist() == [1, 0, 0]
    with pytest.raises(
        DataError, match="item 'x' does not exist: expected an id of type String such as 'a', 'b', 'c'"
    ):
        dataset.find_items(["a", "x"])
    with pytest.raises(
        DataError, match="user 'x' does not exist: expected an id of type Int64 such as 30, 10"
    ):
        dataset.find_users(["x"])


@pytest.mark.parametrize(
    ("items", "events", "message"),
    [
        (
            ITEMS.drop("item_id"),
            EVENTS,
            "`items` has no column `item_id`: expected it among its columns, got title. Name the one",
        ),
        (
            ITEMS,
            EVENTS.drop("user_id"),
            "`interactions` has no column `user_id`: expected it among its columns, got item_id, position",
        ),
        (
            ITEMS,
            EVENTS.drop("position"),
            "orders the events of a user: expected `timestamp`, `t_rel` or `position`, got user_id",
        ),
        (ITEMS.clear(), EVENTS, "`items` is empty"),
        (ITEMS, EVENTS.clear(), "`interactions` is empty"),
        (
            ITEMS,
            EVENTS.cast({"user_id": pl.Float64}),
            "column `user_id` of `interactions` has an unsupported type: "
            "expected integers or strings, got Float64",
        ),
        (
            ITEMS,
            EVENTS.with_columns(item_id=pl.Series(["a", None, None])),
            "expected an id in every row, got null in 2 rows, the first of them row 1",
        ),
        (
            ITEMS,
            EVENTS.with_columns(position=pl.Series([0, None, 1])),
            "column `position` of `interactions` has gaps: "
            "expected a finite number in every row, got None in row 1",
        ),
        (
            ITEMS,
            EVENTS.with_columns(timestamp=pl.Series([0.0, 1.0, float("nan")])),
            "expected a finite number in every row, got nan in row 2 and 0 more",
        ),
        (
            ITEMS,
            EVENTS.with_columns(position=pl.Series([[0], [1], [2]])),
            "column `position` of `interactions` has an unsupported type: expected numbers, got List(Int64)",
        ),
        (
            pl.concat([ITEMS, ITEMS.head(2)]),
            EVENTS,
            "expected one row per item, got several for 2 ids, such as 'a', 'b'. Keep one row of each.",
        ),
        (
            ITEMS.head(1),
            EVENTS,
            "`interactions` has items that are not in `items`: expected only known ids, got 1 others, such "
            "as 'c'. Add them to `items`, or drop their events with unknown_items=\"drop\" "
            "(--set data.unknown_items=drop).",
        ),
        (
            ITEMS,
            EVENTS.with_columns(item_id=pl.Series([1, 2, 3])),
            "the same type in both tables: expected String as in `items`, got Int64 in `interactions`",
        ),
    ],
)
def test_invalid_tables(items, events, message):
    with pytest.raises(DataError, match=re.escape(message)):
        Dataset("d", items, events)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=40),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_k_core_is_the_fixpoint(pairs, user_least, item_least):
    events = pl.DataFrame(
        {"user_id": [u for u, _ in pairs], "item_id": [i for _, i in pairs], "position": range(len(pairs))}
    )
    kept, before = list(pairs), None
    while kept != before:
        before = kept
        users, items = [u for u, _ in kept], [i for _, i in kept]
        kept = [(u, i) for u, i in kept if users.count(u) >= user_least and items.count(i) >= item_least]
    dataset = Dataset("d", pl.DataFrame({"item_id": range(6)}), events)
    if not kept:
        with pytest.raises(DataError, match="no interaction of `d` is left"):
            dataset.filtered(min_user_events=user_least, min_item_events=item_least)
        return
    core = dataset.filtered(min_user_events=user_least, min_item_events=item_least)
    assert core.interactions.select("user_id", "item_id").rows() == kept
    assert core.item_ids.to_list() == (sorted({i for _, i in kept}) if item_least else list(range(6)))


def test_the_world_is_the_same_for_the_same_seed():
    left, right = cyclic_world(seed=3), cyclic_world(seed=3)
    assert left.dataset.interactions.equals(right.dataset.interactions)
    assert (left.vectors == right.vectors).all()
    assert not (cyclic_world(seed=4).vectors == left.vectors).all()


@pytest.mark.parametrize("block", [2, 100])
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=12))
def test_events_in_order_are_not_sorted_and_others_are(block, events):
    """Histories of any log are those of a stable sort by user and time; sorted logs skip it."""
    frame = pl.DataFrame(
        {"user_id": [f"{user}" for user, _ in events], "timestamp": [time for _, time in events]}
    ).with_columns(item_id=pl.int_range(pl.len()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "_BLOCK", block)
        data = Dataset.from_frames(frame)
        histories, rows = data.histories(), data._ordered_events()
    expected = frame.with_columns(user=pl.Series(data.user_index)).sort(
        "user", "timestamp", maintain_order=True
    )
    assert histories.values.tolist() == expected["item_id"].to_list()
    in_order = expected["item_id"].to_list() == list(range(len(events)))
    assert isinstance(rows, slice) == in_order
