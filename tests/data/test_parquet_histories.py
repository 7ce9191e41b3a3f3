"""Histories in Parquet files: the same as in memory, and errors that say what is wrong with a file."""

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.data import Histories, ParquetHistories
from sidkit.errors import DataError

IDS = pl.Series("item_id", ["soap", "comb", "brush", "towel"])


def write(path, rows, *, kind=None, group=2):
    table = pa.table({"items": pa.array(rows, pa.list_(kind or pa.string()))})
    pq.write_table(table, path, row_group_size=group)
    return path


def together(stored):
    return [row.tolist() for part in stored for row in part]


@given(
    st.lists(st.lists(st.integers(0, 3), max_size=5), min_size=1, max_size=20),
    st.integers(1, 7),
    st.integers(1, 7),
    st.booleans(),
)
def test_files_hold_what_memory_holds(tmp_path_factory, rows, group, fragment_rows, integers):
    ids = pl.Series([40, 10, 2**40, -3]) if integers else IDS
    named = [[ids[row] for row in each] for each in rows]
    folder = tmp_path_factory.mktemp("parquet")
    half = len(rows) // 2
    kind = pa.int64() if integers else pa.string()
    write(folder / "0.parquet", named[:half], kind=kind, group=group)
    write(folder / "1.parquet", named[half:], kind=kind, group=group)
    stored = ParquetHistories(folder, ids, fragment_rows=fragment_rows)
    memory = Histories.from_ids(named, ids)
    assert together(stored) == rows
    assert len(stored) == len(memory)
    np.testing.assert_array_equal(stored.lengths, memory.lengths)
    np.testing.assert_array_equal(stored.item_counts, np.bincount(memory.values, minlength=4))
    assert sum(each.rows for each in stored.fragments) == len(rows)


def test_the_checksum_is_that_of_the_events(tmp_path):
    rows = [["soap", "comb"], [], ["towel"], ["brush", "soap", "soap"]]
    one = ParquetHistories(write(tmp_path / "one.parquet", rows, group=1), IDS)
    two = ParquetHistories(write(tmp_path / "two.parquet", rows, group=4), IDS)
    other = ParquetHistories(write(tmp_path / "other.parquet", [["soap"], ["comb"], *rows[2:]]), IDS)
    assert one.checksum == two.checksum != other.checksum
    assert repr(one) == "ParquetHistories(4 histories, 6 events, 4 items)"


def test_null_lists_are_empty_histories(tmp_path):
    stored = ParquetHistories(write(tmp_path / "a.parquet", [None, ["comb"]]), IDS)
    assert together(stored) == [[], [1]]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([["soap", None]], {}, "a.parquet` has a missing item id in a history"),
        ([["soap", "soup"]], {}, "'soup'"),
        ([["soap"]], {"column": "baskets"}, r"no column `baskets`: expected one of \['items'\]"),
        ([[1.5]], {"kind": pa.float64()}, "expected lists of integers or strings, got list<"),
        ([[1]], {"kind": pa.int64()}, "item ids have the wrong type: expected String"),
    ],
)
def test_wrong_files_are_refused(tmp_path, rows, options, message):
    path = write(tmp_path / "a.parquet", rows, kind=options.get("kind"))
    with pytest.raises(DataError, match=message):
        ParquetHistories(path, IDS, column=options.get("column", "items"))


def test_a_damaged_or_missing_file_is_refused(tmp_path):
    path = write(tmp_path / "a.parquet", [["soap"]] * 8)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read: expected a complete Parquet file"):
        ParquetHistories(path, IDS)
    with pytest.raises(DataError, match="has no data: expected a Parquet file or a directory of them"):
        ParquetHistories(tmp_path / "nowhere", IDS)


def test_a_file_that_changes_is_noticed(tmp_path):
    path = write(tmp_path / "a.parquet", [["soap"]] * 8)
    stored = ParquetHistories(path, IDS)
    for rows in ([["soap", "comb"]] * 8, [["comb"]] * 8):
        write(path, rows)
        with pytest.raises(DataError, match="has changed: expected the histories that it had before"):
            stored.read(0)
    with pytest.raises(DataError, match=r"no such fragment: expected 0\.\.0, got 1"):
        stored.read(1)


def test_lists_of_fixed_size_are_refused(tmp_path):
    lists = pa.FixedSizeListArray.from_arrays(pa.array(["soap", "comb"]), 2)
    pq.write_table(pa.table({"items": lists}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="expected lists of integers or strings, got fixed_size_list"):
        ParquetHistories(tmp_path / "a.parquet", IDS)
