"""The item table: both directions, the file, and what it refuses."""

import json
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.errors import DataError, FormatError
from sidkit.ids import SidTable

CODES = [[12, 7], [12, 7], [3, 0], [12, 1]]
IDS = ["a", "b", "c", "d"]


@pytest.fixture
def table():
    return SidTable.from_codes(CODES, IDS, sizes=[16, 16])


def test_no_ids_for_no_rows():
    assert len(SidTable.from_codes(np.zeros((0, 1), np.uint16), [], sizes=[4])) == 0


def test_both_directions(table):
    assert [table[item] for item in IDS] == ["12-7-0", "12-7-1", "3-0-0", "12-1-0"] == table.sids
    assert table.items("12-7-1") == ["b"]
    assert table.items("12-7") == ["a", "b"]
    assert table.items("12") == ["d", "a", "b"]
    assert table.items("") == ["c", "d", "a", "b"]
    assert table.items("5") == table.items("12-7-1"[:-1] + "0")[1:] == []
    assert table.sizes == (16, 16, 2)
    assert table.codes.tolist() == CODES
    assert len(table) == 4
    assert repr(table) == "SidTable(4 items, sizes=[16, 16, 2], collisions='suffix')"


def test_share_gives_all_items_of_an_id():
    table = SidTable.from_codes(CODES, [5, 6, 7, 8], sizes=[16, 16], collisions="share")
    assert table.items("12-7") == [5, 6]
    assert table.codes.tolist() == CODES


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=30))
def test_lookups_agree_with_a_dictionary(codes):
    table = SidTable.from_codes(codes, np.arange(len(codes)), sizes=[3, 5])
    for item in range(len(codes)):
        assert table.items(table[item]) == [item]
    for prefix in {code[0] for code in codes}:
        assert set(table.items(str(prefix))) == {item for item, code in enumerate(codes) if code[0] == prefix}
    order = np.argsort(table.packed)
    assert order.tolist() == np.lexsort(table.tokens.T[::-1]).tolist()


@pytest.mark.parametrize(
    "ids",
    [
        pl.Series(["x", "ÿ", "", "0"]),
        pl.Series([3, 2, 1, 0], dtype=pl.Int8),
        pl.Series([2**63, 1, 2, 3], dtype=pl.UInt64),
        pl.Series([-5, 1, 2, 3], dtype=pl.Int64),
    ],
    ids=["strings", "int8", "uint64", "int64"],
)
@pytest.mark.parametrize("policy", ["suffix", "share"])
def test_round_trip_keeps_ids_and_types(tmp_path, ids, policy):
    table = SidTable.from_codes(CODES, ids, sizes=[16, 16], collisions=policy)
    table.save(tmp_path / "sids.parquet")
    again = SidTable.load(tmp_path / "sids.parquet")
    assert again.item_ids.dtype == ids.dtype
    assert again.item_ids.to_list() == ids.to_list()
    assert (again.tokens == table.tokens).all()
    assert again.tokens.dtype == np.uint16
    assert (again.sizes, again.collisions) == (table.sizes, policy)
    assert again[ids[1]] == table[ids[1]]


def test_wide_layouts_have_two_words(tmp_path):
    table = SidTable.from_codes([[2047] * 8, [0] * 8], [1, 2], sizes=[2048] * 8)
    assert table.packed.shape == (2, 2)
    table.save(tmp_path / "wide.parquet")
    assert (SidTable.load(tmp_path / "wide.parquet").packed == table.packed).all()


def test_the_file_is_plain_parquet(tmp_path, table):
    table.save(tmp_path / "sids.parquet")
    frame = pl.read_parquet(tmp_path / "sids.parquet")
    assert frame.columns == ["item_id", "c0", "c1", "c2", "sid"]
    assert frame["sid"].to_list() == table.sids


def test_an_empty_catalogue(tmp_path):
    table = SidTable.from_codes(np.zeros((0, 2), np.uint16), np.array([], dtype=np.int64), sizes=[4, 4])
    table.save(tmp_path / "empty.parquet")
    assert len(SidTable.load(tmp_path / "empty.parquet")) == 0
    assert table.items("1") == []


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a", "b", "a", "d"], "item ids are repeated: expected distinct ids, got 'a' in 2 rows"),
        (["a", "b"], "expected 4 ids, one per row, got 2"),
        (
            pl.Series(["a", None, "c", "d"]),
            "item ids are missing: expected an id in every row, got 1 nulls, the first in row 1",
        ),
        ([], "expected 4 ids, one per row, got 0"),
        ([0.5, 1.5, 2.5, 3.5], "expected integers or strings, got Float64"),
        (["a", 7, "c", "d"], "mixed types: expected only integers or only strings, got 7 among strings"),
    ],
)
def test_bad_ids(ids, message):
    with pytest.raises(DataError, match=message):
        SidTable.from_codes(CODES, ids, sizes=[16, 16])


@pytest.mark.parametrize("codes", [5, [1, 2], [["a"]], None])
def test_codes_that_are_no_table(codes):
    with pytest.raises(DataError, match=r"codes are invalid: expected an integer array \(n, levels\), got "):
        SidTable.from_codes(codes, ["a"], sizes=[16])


def test_bad_lookups(table):
    with pytest.raises(
        DataError, match="item 'z' is not in the table: expected one of its 4 items, whose ids are String"
    ):
        table["z"]
    for wrong in ("12-", "a-b", "-1", "1-2-0-0", " 1", "²"):
        with pytest.raises(DataError, match="is not a Semantic ID: expected at most 3 tokens"):
            table.items(wrong)
    for long in ("9" * 5000, "1-" * 5000):
        with pytest.raises(
            DataError, match=r"^`.{80}\.\.\.` is not a Semantic ID: expected at most 3 tokens"
        ):
            table.items(long)
    with pytest.raises(
        DataError, match=r"token 16 of `16-0` is out of range: expected 0\.\.15 at level 0, got 16"
    ):
        table.items("16-0")
    with pytest.raises(
        DataError, match="unknown collision policy: expected one of suffix, reassign, share, got `x`"
    ):
        SidTable(IDS, CODES, [16, 16], collisions="x")


ONE_LEVEL = '{"version": 1, "sizes": [2], "collisions": "suffix"}'


def _with_metadata(frame, described):
    return lambda path: frame.write_parquet(path, metadata={"sidkit.sids": described})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "is not a complete Parquet file"),
        (lambda path: path.write_bytes(b""), "is not a complete Parquet file"),
        (lambda path: pl.DataFrame({"a": [1]}).write_parquet(path), "not a table of Semantic IDs"),
        (_with_metadata(pl.DataFrame({"a": [1]}), "{"), "has damaged metadata `sidkit.sids`"),
        (
            _with_metadata(pl.DataFrame({"a": [1]}), '{"version": 9, "sizes": [2], "collisions": "suffix"}'),
            "has an unknown version: expected 1, got 9",
        ),
        (
            _with_metadata(pl.DataFrame({"a": [1]}), ONE_LEVEL.replace("1", "true", 1)),
            "has an unknown version: expected 1, got True",
        ),
        (
            _with_metadata(pl.DataFrame({"a": [1]}), '{"version": 1, "sizes": 2, "collisions": "suffix"}'),
            "has damaged metadata `sidkit.sids`",
        ),
        (
            _with_metadata(pl.DataFrame({"item_id": [1]}), ONE_LEVEL),
            "does not match its own metadata",
        ),
        (
            _with_metadata(
                pl.DataFrame({"item_id": [1], "c0": [2]}), ONE_LEVEL
            ),
            "does not match its own metadata.*row 0 at level 0 is out of range: expected 0..1, got 2",
        ),
        (
            _with_metadata(
                pl.DataFrame({"item_id": [1, 2], "c0": [1, 1]}), ONE_LEVEL
            ),
            "has repeated Semantic IDs: expected distinct ones under the policy `suffix`",
        ),
    ],
)  # fmt: skip
def test_foreign_and_damaged_files(tmp_path, table, change, message):
    path = tmp_path / "sids.parquet"
    table.save(path)
    change(path)
    with pytest.raises(FormatError, match=message):
        SidTable.load(path)


@pytest.mark.parametrize("wrong", ["12-7-0", "", None])
def test_a_written_id_that_is_not_that_of_the_tokens(tmp_path, table, wrong):
    path = tmp_path / "sids.parquet"
    table.save(path)
    written = pl.Series("sid", [*table.sids[:1], wrong, "3-0-1", *table.sids[3:]])
    frame, metadata = table.to_polars(), pl.read_parquet_metadata(path)
    described = {"sidkit.sids": metadata["sidkit.sids"]}
    frame.with_columns(written).write_parquet(path, metadata=described)
    with pytest.raises(
        FormatError, match=f"expected '12-7-1' as the `sid` of row 1, from its tokens, got {wrong!r}"
    ):
        SidTable.load(path)
    for without in (frame.drop("sid"), frame.with_columns(sid=pl.lit(7))):
        without.write_parquet(path, metadata=described)
        with pytest.raises(FormatError, match="has no column `sid` of strings: got item_id, c0, c1, c2"):
            SidTable.load(path)


def test_a_file_that_makes_the_reader_panic(tmp_path, table, monkeypatch):
    path = tmp_path / "sids.parquet"
    table.save(path)

    def panic(*_args, **_kwargs):
        raise pl.exceptions.PanicException("assertion failed")

    monkeypatch.setattr(pl, "read_parquet", panic)
    with pytest.raises(FormatError, match="is not a complete Parquet file: assertion failed"):
        SidTable.load(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no table of Semantic IDs at"):
        SidTable.load(tmp_path / "none.parquet")


def test_a_failed_save_leaves_the_old_file(tmp_path, table, monkeypatch):
    path = tmp_path / "sids.parquet"
    table.save(path)
    before = path.read_bytes()

    def full_disk(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dumps", full_disk)
    with pytest.raises(OSError, match="No space left"):
        SidTable.from_codes([[0]], ["x"], sizes=[2]).save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["sids.parquet"]


def test_a_table_is_a_mapping_of_ids(table):
    assert list(table) == IDS and len(table) == 4
    assert "a" in table and "z" not in table and 7 not in table and ["a"] not in table
    assert table.rows(["d", "a"]).tolist() == [3, 0] == table.rows(pl.Series(["d", "a"])).tolist()
    assert table.rows([]).dtype == np.int64
    with pytest.raises(DataError, match="item 'z' is not in the table"):
        table.rows(each for each in ["a", "z"])
    numbers = SidTable.from_codes(CODES, [5, 6, 7, 8], sizes=[16, 16])
    assert numbers[np.int64(6)] == numbers[6] == "12-7-1"


def test_the_trie_of_a_table_has_its_rows_as_items(table):
    trie = table.trie
    assert trie is table.trie and trie.item_count == 4
    assert sorted(trie.items(trie.find(table.packed[2:3]))[0].tolist()) == [2]


def test_frames(table):
    frame = table.to_polars()
    assert frame["sid"].to_list() == [table[item] for item in IDS]
    assert frame["item_id"].to_list() == IDS
    pytest.importorskip("pandas")
    assert table.to_pandas()["sid"].tolist() == frame["sid"].to_list()


@pytest.mark.parametrize("ids", [[7, 3, 2**40], pl.Series([7, 3, 9], dtype=pl.UInt64), ["a", "b", "c"]])
def test_rows_of_ids_of_every_type(ids):
    """Integer ids that fit int64 are looked up in arrays, all others in a dict."""
    table = SidTable.from_codes([[1], [2], [2]], ids, [4])
    known = list(ids)
    assert table.rows(known[::-1]).tolist() == [2, 1, 0] and table.rows([]).tolist() == []
    assert np.int64(7) in table or known[0] == "a"
    for absent in (5, 2**70, "z", None, 7.5):
        assert absent not in table
        with pytest.raises(DataError, match=re.escape(f"item {absent!r} is not in the table")):
            table.rows([known[0], absent])
