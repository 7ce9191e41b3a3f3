import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.data import Sequences, sequences
from sidkit.errors import DataError

rows_of_items = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=6), max_size=8)


def as_lists(sequences):
    return [row.tolist() for row in sequences]


@given(rows_of_items)
def test_rows_come_back(rows):
    sequences = Sequences.from_rows(rows)
    assert as_lists(sequences) == rows
    assert len(sequences) == len(rows)
    assert sequences.lengths.tolist() == [len(row) for row in rows]
    assert (sequences.values.dtype, sequences.offsets.dtype) == (np.int32, np.int64)


@given(rows_of_items, st.integers(0, 8), st.data())
def test_take_tail_and_head_are_those_of_lists(rows, n, data):
    sequences = Sequences.from_rows(rows)
    assert as_lists(sequences.tail(n)) == [row[max(len(row) - n, 0) :] for row in rows]
    assert as_lists(sequences.head(n)) == [row[:n] for row in rows]
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=10) if rows else st.just([]))
    assert as_lists(sequences.take(chosen)) == [rows[row] for row in chosen]
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))), dtype=bool)
    assert as_lists(sequences.take(flags)) == [row for row, keep in zip(rows, flags, strict=True) if keep]


def test_head_takes_a_length_per_row():
    rows = Sequences.from_rows([[1, 2, 3], [4, 5], [6]])
    assert as_lists(rows.head([1, 0, 5])) == [[1], [], [6]]


def test_equal_when_the_same_rows():
    assert Sequences.from_rows([[1], [2, 3]]) == Sequences.from_rows([[1], [2, 3]])
    assert Sequences.from_rows([[1], [2, 3]]) != Sequences.from_rows([[1, 2], [3]])


def test_a_row_is_a_view():
    rows = Sequences.from_rows([[1], [2, 3]])
    assert np.shares_memory(rows[-1], rows.values)
    with pytest.raises(IndexError, match="row 2 of 2 sequences"):
        rows[2]


@pytest.mark.parametrize(
    ("values", "offsets", "message"),
    [
        (
            [1, 2],
            [],
            "offsets of sequences are invalid: expected them to start at 0, never decrease, and end at 2",
        ),
        ([1, 2], [0, 1], "never decrease, and end at 2, the number of values, got [0 1]"),
        ([1, 2], [0, 3, 2], "never decrease"),
        ([1, 2], [1, 2], "expected them to start at 0"),
        ([1, -2], [0, 2], "values of sequences are invalid: expected integers >= 0, got -2 at place 1"),
        ([1.0], [0, 1], "expected a one-dimensional array of integers, got float64 of shape (1,)"),
        ([[1]], [0, 1], "expected a one-dimensional array of integers, got int64 of shape (1, 1)"),
        (
            [2**31],
            [0, 1],
            "values of sequences are too large: expected integers that fit int32, got up to 2147483648",
        ),
    ],
)
def test_what_is_no_sequences(values, offsets, message):
    with pytest.raises(DataError, match=re.escape(message)):
        Sequences(np.array(values), np.array(offsets, dtype=np.int64))


@pytest.mark.parametrize("row", [[1.5], ["a"], [[1]], [True], [float("nan")], [None], [2**70]])
def test_rows_of_something_else(row):
    with pytest.raises(DataError, match="row 1 of sequences is invalid: expected integers"):
        Sequences.from_rows([[1], row])


def test_rows_side_by_side_and_in_parts():
    rows = Sequences.from_rows([[1, 2, 3, 4, 5], [], [6], [7, 8]])
    assert rows.padded(9).tolist() == [[1, 2, 3, 4, 5], [9] * 5, [6, 9, 9, 9, 9], [7, 8, 9, 9, 9]]
    assert rows.take([1]).padded(9).shape == (1, 0)
    assert [part.tolist() for part in rows.parts(2)] == [[1, 2], [3, 4], [5], [6], [7, 8]]
    assert rows.parts(9) == rows.take([0, 2, 3])
    assert len(Sequences.from_rows([[]]).parts(3)) == 0


@pytest.mark.parametrize("block", [1, 3, 100])
def test_slices_are_copied_in_blocks(block, monkeypatch):
    rows = Sequences.from_rows([[1, 2, 3, 4, 5], [], [6], [7, 8]])
    monkeypatch.setattr(sequences, "_BLOCK", block)
    assert as_lists(rows.take([3, 0, 1, 0])) == [[7, 8], [1, 2, 3, 4, 5], [], [1, 2, 3, 4, 5]]
    assert as_lists(rows.take_heads(np.array([0, 3]), np.array([2, 9]))) == [[1, 2], [7, 8]]
    assert len(rows.take([])) == 0
