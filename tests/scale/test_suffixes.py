"""Suffixes out of core against the policy in memory."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scale.reading import parts, read

from sidkit.errors import CollisionError, ConfigError, DataError
from sidkit.ids import SidTable
from sidkit.ids.collisions import add_collision_token
from sidkit.scale import resolve_suffixes, suffix_ranks
from sidkit.scale.batches.vectors import list_column
from sidkit.scale.spill import Buckets, hashed


@st.composite
def catalogues(draw):
    sizes = draw(st.lists(st.sampled_from([1, 2, 3, 300, 65536]), min_size=1, max_size=7))
    rows = draw(st.integers(0, 200))
    seed = draw(st.integers(0, 2**32 - 1))
    few = np.minimum(sizes, 3)
    codes = np.random.default_rng(seed).integers(0, few, size=(rows, len(sizes)))
    return codes.astype(np.uint16), tuple(sizes), draw(st.integers(1, 64))


@given(catalogues())
def test_ranks_are_those_of_the_policy_in_memory(catalogue):
    codes, sizes, block = catalogue
    tokens, size = add_collision_token(codes, sizes)
    blocks = (codes[start : start + block] for start in range(0, len(codes), block))
    with suffix_ranks(blocks, sizes) as found:
        assert found.ranks.tolist() == tokens[:, -1].tolist()
        assert found.size == size


def test_temporary_files_are_removed(tmp_path):
    with suffix_ranks([np.zeros((5, 2), int)], [2, 2], directory=tmp_path) as found:
        assert found.ranks.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(DataError), suffix_ranks([np.full((5, 2), 7)], [2, 2], directory=tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def ranks(blocks, sizes, **options):
    with suffix_ranks(blocks, sizes, **options) as found:
        return found.ranks.tolist()


def test_too_many_items_of_a_code_are_named():
    with pytest.raises(CollisionError, match=r"the code `1-0`: expected at most 2, .* got 3"):
        ranks([np.array([[1, 0]] * 3 + [[0, 0]])], [2, 2], collision_size=2)
    with pytest.raises(CollisionError, match="expected at most 65536"):
        ranks([np.zeros((65537, 1), int)], [2])


def test_sizes_are_checked():
    with pytest.raises(ConfigError, match=r"expected 1\.\.65536, got 0"):
        ranks([], [2], collision_size=0)
    with pytest.raises(ConfigError, match="cannot be packed"):
        ranks([np.zeros((2, 8), int)], [65536] * 8)


def test_buckets_keep_records_in_order(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 1000, 5000)
    buckets = Buckets(tmp_path, 7, np.int64)
    for start in range(0, 5000, 600):
        block = values[start : start + 600]
        buckets.add(block % 7, block)
    for bucket in range(7):
        assert buckets.take(bucket).tolist() == values[values % 7 == bucket].tolist()
    assert not list(tmp_path.iterdir())


def test_hashes_fill_buckets_evenly():
    keys = np.arange(100_000, dtype=np.uint64)
    for words in (keys[:, None], np.stack([keys, 0 * keys], 1), np.stack([0 * keys, keys], 1)):
        counts = np.bincount(hashed(words, 256), minlength=256)
        assert counts.min() > 250 and counts.max() < 550


def write_codes(path, codes, group):
    table = pa.table({"item_id": [f"i{row}" for row in range(len(codes))], "codes": list_column(codes)})
    pq.write_table(table, path, row_group_size=group)


def test_semantic_ids_are_those_of_the_table(tmp_path, small_parts, monkeypatch):
    monkeypatch.setattr("sidkit.scale.suffixes.PART_ROWS", 400)
    codes = np.random.default_rng(1).integers(0, 6, size=(2000, 3)).astype(np.int32)
    (tmp_path / "codes").mkdir()
    write_codes(tmp_path / "codes/a.parquet", codes, 150)
    for _ in range(2):  # a second call replaces the parts of the first
        resolved = resolve_suffixes(tmp_path / "codes", tmp_path / "sids", [6, 6, 6])
    table = read(tmp_path / "sids")
    expected = SidTable.from_codes(codes, table["item_id"].to_pylist(), [6, 6, 6])
    assert table["sid"].to_pylist() == expected.sids
    assert table["tokens"].to_pylist() == expected.tokens.tolist()
    assert resolved.sizes == expected.sizes and resolved.items == 2000
    assert resolved.collisions == (expected.tokens[:, -1] > 0).sum()
    assert len(parts(tmp_path / "sids")) > 3
    assert {path.name for path in (tmp_path / "sids").iterdir()} == {*parts(tmp_path / "sids"), "_SUCCESS"}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1, 2], [3]]), "expected 2 levels, got 1"),
        (pa.array([[1, 2], None]), "with 1 nulls"),
        (pa.array([[0.5, 2]]), "expected lists of integers"),
        (pa.array([[1, 9]]), "out of range"),
    ],
)
def test_bad_codes_are_named(tmp_path, column, message):
    pq.write_table(pa.table({"codes": column}), tmp_path / "codes.parquet")
    with pytest.raises(DataError, match=message):
        resolve_suffixes(tmp_path / "codes.parquet", tmp_path / "out", [4, 4])
