"""Tries out of core: the bytes of those in memory."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit import SidLayout, Trie
from sidkit._core import TrieWriter
from sidkit.errors import DataError
from sidkit.scale import build_trie
from sidkit.scale.batches.vectors import list_column
from sidkit.scale.trie import write_trie


@st.composite
def catalogues(draw):
    sizes = draw(st.lists(st.sampled_from([1, 2, 5, 256, 300, 65536]), min_size=1, max_size=8))
    rows, block = draw(st.integers(0, 300)), draw(st.integers(1, 100))
    few = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    tokens = rng.integers(0, np.minimum(sizes, 3) if few else sizes, size=(rows, len(sizes)))
    return tokens.astype(np.uint16), sizes, block


@given(catalogues())
def test_a_file_has_the_bytes_of_the_trie_in_memory(tmp_path_factory, catalogue):
    tokens, sizes, block = catalogue
    layout = SidLayout(sizes)
    place = tmp_path_factory.mktemp("trie")
    packed = layout.pack(tokens)
    Trie.build(packed, layout).save(place / "memory")
    write_trie((packed[at : at + block] for at in range(0, len(packed), block)), place / "disk", layout)
    assert (place / "disk").read_bytes() == (place / "memory").read_bytes()
    assert {path.name for path in place.iterdir()} == {"memory", "disk"}


def test_a_mapped_trie_is_built_from_parquet(tmp_path):
    tokens = np.random.default_rng(0).integers(0, 6, size=(500, 3)).astype(np.uint16)
    pq.write_table(pa.table({"tokens": list_column(tokens.astype(np.int32))}), tmp_path / "sids.parquet")
    trie = build_trie(tmp_path / "sids.parquet", tmp_path / "trie.sidx", [6, 6, 6])
    expected = Trie.build(SidLayout([6, 6, 6]).pack(tokens), SidLayout([6, 6, 6]))
    states, others = trie.start(1), expected.start(1)
    for token in (2, 3):
        states, others = trie.step(states, np.array([token])), expected.step(others, np.array([token]))
        assert trie.allowed(states).tolist() == expected.allowed(others).tolist()
    assert trie.items(states)[0].tolist() == expected.items(others)[0].tolist()


def test_tokens_are_checked(tmp_path):
    pq.write_table(pa.table({"tokens": [[1, 2], [1, 6]]}), tmp_path / "sids.parquet")
    with pytest.raises(DataError, match=r"out of range: expected 0\.\.5, got 6"):
        build_trie(tmp_path / "sids.parquet", tmp_path / "trie.sidx", [6, 6])
    assert {path.name for path in tmp_path.iterdir()} == {"sids.parquet"}


@pytest.fixture
def writer(tmp_path):
    return TrieWriter(tmp_path / "trie.sidx", SidLayout([4, 4]))


def keys(*values):
    return np.array(values, np.uint64)


@pytest.mark.parametrize(
    ("pushes", "message"),
    [
        ([(keys(5, 3), None)], "row 1: expected keys in ascending order"),
        ([(keys(5), None), (keys(3), None)], "row 1: expected keys in ascending order"),
        ([(keys(5, 5), np.array([1, 0]))], "ascending items under one key"),
        ([(keys(3, 5), np.array([7, 7]))], "several for item 7"),
        ([(keys(16), None)], "does not belong to the layout"),
        ([(keys(3, 5), np.array([1]))], "items"),
    ],
)
def test_a_wrong_push_is_refused_for_good(writer, tmp_path, pushes, message):
    *good, (bad, items) = pushes
    for each, its_items in good:
        writer.push(each, its_items)
    with pytest.raises(ValueError, match=message):
        writer.push(bad, items)
    with pytest.raises(ValueError):
        writer.push(keys(15))
    with pytest.raises(ValueError):
        writer.finish()
    assert not list(tmp_path.iterdir())


def test_a_writer_finishes_once(writer):
    writer.push(keys(1, 2))
    writer.finish()
    for call in (lambda: writer.push(keys(3)), writer.finish):
        with pytest.raises(ValueError, match="the writer is finished"):
            call()


def test_an_abandoned_writer_leaves_no_files(tmp_path):
    writer = TrieWriter(tmp_path / "trie.sidx", SidLayout([4, 4]))
    writer.push(keys(1, 2))
    del writer
    assert not list(tmp_path.iterdir())
