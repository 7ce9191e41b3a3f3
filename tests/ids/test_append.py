import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit import SidLayout, ngram_rows
from sidkit.errors import CollisionError, ConfigError, DataError
from sidkit.ids import Reassignment, SidTable, append_items, group_sizes

PAIRS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=12)
EVERYTHING = np.array([(a, b) for a in range(3) for b in range(3)], np.uint16)


def some_codes(pairs):
    return np.array(pairs, np.uint16).reshape(-1, 2)


def near(rows):
    return np.broadcast_to(EVERYTHING, (len(rows), 9, 2))


@given(PAIRS, PAIRS, st.sampled_from(["suffix", "reassign", "share"]))
def test_existing_rows_stay_and_sids_are_distinct(old, new, policy):
    old, new = some_codes(old), some_codes(new)
    given_to = {"reassignment": Reassignment(near)} if policy == "reassign" else {}
    try:
        table = SidTable.from_codes(old, np.arange(len(old)), (3, 3), collisions=policy, **given_to)
        larger = append_items(table, new, np.arange(len(old), len(old) + len(new)), alternatives=near)
    except CollisionError:
        room = 9 * (table.sizes[-1] if policy == "suffix" else 1) if len(old) <= 9 else 0
        assert len(old) + len(new) > room
        return
    assert larger.tokens[: len(old)].tolist() == table.tokens.tolist()
    assert list(larger.layout.sizes) == list(table.layout.sizes) and larger.collisions == policy
    if policy == "share":
        assert larger.tokens[len(old) :].tolist() == new.tolist()
    elif len(larger):
        assert group_sizes(larger.tokens, larger.sizes).max() == 1


def test_the_next_token_then_the_next_code():
    table = SidTable.from_codes([[0, 0], [0, 0], [1, 1]], ["a", "b", "c"], (3, 3))
    larger = append_items(table, [[1, 1], [1, 1], [0, 0]], ["d", "e", "f"], alternatives=near)
    # 1-1 has one token left, for d; e and f move to the first code with room, 0-1.
    assert [larger[item] for item in "abcdef"] == ["0-0-0", "0-0-1", "1-1-0", "1-1-1", "0-1-0", "0-1-1"]


def test_appended_items_have_features():
    table = SidTable.from_codes([[0, 0], [1, 1]], ["a", "b"], (3, 3), collision_size=4)
    larger = append_items(table, [[1, 1]], ["c"])
    rows = ngram_rows(larger.packed, larger.layout, kind="prefix", num_embeddings=1000)
    assert (
        rows[:2].tolist()
        == ngram_rows(table.packed, table.layout, kind="prefix", num_embeddings=1000).tolist()
    )
    assert rows[2, :2].tolist() == rows[1, :2].tolist() and rows[2, 2] != rows[1, 2]


def test_items_that_do_not_fit():
    table = SidTable.from_codes([[0, 0]], [5], (3, 3), collisions="reassign", reassignment=Reassignment(near))
    with pytest.raises(ConfigError, match="1 new items must move"):
        append_items(table, [[0, 0]], [6])
    with pytest.raises(DataError, match="expected distinct ids, got 5 in 2 rows"):
        append_items(table, [[1, 0]], [5])
    with pytest.raises(
        DataError, match="new item ids have the wrong type: expected Int64 as in the table, got String"
    ):
        append_items(table, [[1, 0]], ["six"])
    with pytest.raises(CollisionError, match="find no free code"):
        append_items(table, [[0, 0]], [6], alternatives=lambda rows: np.zeros((len(rows), 2, 2), np.uint16))
    odd = SidTable(pl.Series(["a"]), [[0, 1]], SidLayout([3, 2]), collisions="suffix")
    with pytest.raises(CollisionError, match="expected the collision tokens of the table to count from 0"):
        append_items(odd, [[0]], ["b"])


def test_alternatives_as_an_array():
    table = SidTable.from_codes([[0, 0], [1, 1]], ["a", "b"], (3, 3))
    larger = append_items(table, [[0, 0]], ["c"], alternatives=near([0]))
    assert larger["c"] == "0-1-0"


def test_ids_beyond_the_type_of_the_table():
    table = SidTable.from_codes([[0, 0]], np.array([5], np.int8), (3, 3))
    with pytest.raises(
        DataError, match=r"new item ids have the wrong type: expected ids that fit Int8 .*300"
    ):
        append_items(table, [[1, 0]], [300])
