"""The trie against a dict from SIDs to items."""

import hashlib
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit import SidLayout, Trie
from sidkit.errors import FormatError

SIDS = Path(__file__).parents[2] / "../shared/data/beauty/sids_letter.parquet"


@st.composite
def catalogues(draw):
    sizes = draw(st.lists(st.sampled_from([1, 3, 200, 257, 2048, 65536]), min_size=1, max_size=8))
    tokens = st.tuples(*(st.integers(0, min(size, 4) - 1) | st.just(size - 1) for size in sizes))
    return sizes, draw(st.lists(tokens, max_size=40))


STORAGES = st.sampled_from(["fast", "compact"])


def build(sizes, rows, items=None, storage="fast"):
    layout = SidLayout(sizes)
    codes = np.array(rows, np.uint16).reshape(-1, len(sizes))
    return Trie.build(layout.pack(codes), layout, items, storage=storage)


def oracle_of(rows):
    oracle = defaultdict(list)
    for item, row in enumerate(rows):
        oracle[row].append(item)
    return dict(sorted(oracle.items()))


def rows_of(ragged):
    values, offsets = ragged
    return [values[start:end].tolist() for start, end in pairwise(offsets)]


def check_walk(trie, oracle):
    """Walk every prefix that exists and compare all that the trie says about it."""
    prefixes, states = [()], trie.start(1)
    for depth, size in enumerate(trie.layout.sizes):
        under = [[sid for sid in oracle if sid[:depth] == prefix] for prefix in prefixes]
        children = [sorted({sid[depth] for sid in sids}) for sids in under]
        assert [np.flatnonzero(row).tolist() for row in trie.allowed(states)] == children
        expected = [[item for sid in sids for item in oracle[sid]] for sids in under]
        assert rows_of(trie.items(states)) == expected
        assert trie.count(states).tolist() == [len(items) for items in expected]
        assert states.dead.tolist() == [not items for items in expected]
        assert trie.allowed(states).shape == (len(prefixes), size)
        rows = np.repeat(np.arange(len(prefixes)), [len(codes) for codes in children])
        codes = np.array([code for codes in children for code in codes], np.int64)
        prefixes = [(*prefixes[row], int(code)) for row, code in zip(rows, codes, strict=True)]
        states = trie.step(states.select(rows), codes)
    assert prefixes == list(oracle)
    assert rows_of(trie.items(states)) == list(oracle.values())


@given(catalogues(), STORAGES)
def test_walk_is_the_oracles(catalogue, storage):
    sizes, rows = catalogue
    trie, oracle = build(sizes, rows, storage=storage), oracle_of(rows)
    assert trie.storage == storage
    assert (len(trie), trie.item_count, trie.layout) == (len(oracle), len(rows), SidLayout(sizes))
    check_walk(trie, oracle)


@given(catalogues(), st.data())
def test_no_tokens_lead_to_a_foreign_item(catalogue, data):
    sizes, rows = catalogue
    trie, oracle = build(sizes, rows), oracle_of(rows)
    states, sid = trie.start(1), ()
    for size in sizes:
        code = data.draw(st.integers(-2, size + 1) | st.sampled_from([2**40, -(2**63)]))
        states, sid = trie.step(states, np.array([code])), (*sid, code)
    assert rows_of(trie.items(states)) == [oracle.get(sid, [])]


@given(catalogues(), STORAGES)
def test_lookup_gives_the_items_of_a_sid(catalogue, storage):
    sizes, rows = catalogue
    trie, oracle = build(sizes, rows, storage=storage), oracle_of(rows)
    probes = [*rows, tuple(size - 1 for size in sizes)]
    packed = trie.layout.pack(np.array(probes, np.uint16))
    assert rows_of(trie.lookup(packed)) == [oracle.get(sid, []) for sid in probes]
    assert trie.sids(np.arange(len(rows))).tolist() == packed[:-1].tolist()
    under = [[item for sid in oracle if sid[:1] == probe[:1] for item in oracle[sid]] for probe in probes]
    assert rows_of(trie.items(trie.find(packed, 1))) == under


@given(catalogues(), STORAGES, st.booleans(), st.booleans())
def test_file_round_trip(tmp_path_factory, catalogue, storage, mmap, trusted):
    sizes, rows = catalogue
    path = tmp_path_factory.mktemp("trie") / "index.sidx"
    build(sizes, rows, storage=storage).save(path)
    check_walk(Trie.open(path, mmap=mmap, trusted=trusted), oracle_of(rows))
    assert [file.name for file in path.parent.iterdir()] == ["index.sidx"]


def test_items_may_have_any_numbers():
    trie = build([4, 4], [(3, 1), (0, 2), (3, 1)], np.array([90, 5, 2**32 - 1], np.int64))
    assert rows_of(trie.items(trie.start(1))) == [[5, 90, 2**32 - 1]]


def test_builds_from_a_table():
    layout = SidLayout([4, 4])
    table = SimpleNamespace(packed=np.array([7, 1], np.uint64), layout=layout)
    assert rows_of(Trie.build(table).lookup(np.array([1, 2, 7], np.uint64))) == [[1], [], [0]]


def test_allowed_writes_into_the_callers_buffer():
    trie = build([4, 4], [(3, 1), (0, 2)])
    out = np.ones((2, 4), bool)
    assert trie.allowed(trie.start(2), out=out) is out
    assert out.tolist() == [[True, False, False, True]] * 2


@given(catalogues(), STORAGES)
def test_every_form_of_the_mask_says_the_same(catalogue, storage):
    sizes, rows = catalogue
    trie = build(sizes, rows, storage=storage)
    states = trie.start(2)
    for depth, size in enumerate(sizes):
        allowed = trie.allowed(states)
        bits = np.unpackbits(trie.bitmask(states).view(np.uint8), axis=1, bitorder="little")
        assert bits.shape[1] == -(-size // 32) * 32
        assert not bits[:, size:].any()
        assert (bits[:, :size] == allowed).all()
        logits = np.arange(2 * size, dtype=np.float32).reshape(2, size)
        expected = np.where(allowed, logits, -np.inf)
        assert trie.mask_logits(states, logits) is logits
        assert (logits == expected).all()
        some = rows[0][depth] if rows else 0
        states = trie.step(states, np.array([some, size - 1]))


def test_crowded_states_and_many_levels():
    rng = np.random.default_rng(0)
    for sizes in ([3, 300, 70], [2] * 12, [1, 1000, 1, 5], [65536, 4]):
        rows = sorted(
            {tuple(row) for row in (rng.random((900, len(sizes))) ** 3 * sizes).astype(int).tolist()}
        )
        for storage in ("fast", "compact"):
            check_walk(build(sizes, rows, storage=storage), oracle_of(rows))


@pytest.mark.data
@pytest.mark.skipif(not SIDS.exists(), reason="the published SIDs of Beauty are not beside the project")
def test_published_sids_of_beauty():
    pl = pytest.importorskip("polars")
    table = pl.read_parquet(SIDS)
    tokens = table.select(pl.col("^c\\d+$")).to_numpy()
    rows = [tuple(map(int, row)) for row in tokens]
    trie, oracle = build([256] * tokens.shape[1], rows), oracle_of(rows)
    assert (trie.item_count, len(trie)) == (12101, len(oracle))
    assert trie.item_count - len(trie) == 13
    states = trie.find(trie.layout.pack(np.array(list(oracle), np.uint16)))
    assert rows_of(trie.items(states)) == list(oracle.values())
    first = trie.step(trie.start(256), np.arange(256))
    allowed = trie.allowed(first)
    assert {(a, b) for a, b in zip(*np.nonzero(allowed), strict=True)} == {sid[:2] for sid in oracle}


def test_states_of_another_trie_are_refused():
    one, other = build([4], [(1,)]), build([4], [(2,)])
    with pytest.raises(ValueError, match=r"^`states` belong to another trie: expected states of this one"):
        one.step(other.start(1), np.array([1]))


BAD_CALLS = [
    (
        lambda t: t.allowed(t.step(t.start(1), np.array([1]))),
        ValueError,
        "the states are complete: expected fewer than 1 tokens",
    ),
    (
        lambda t: t.step(t.start(2), np.array([1])),
        ValueError,
        "`tokens` has the wrong length: expected 2 elements for its shape, got 1",
    ),
    (
        lambda t: t.step(t.start(1), np.array([1.0])),
        TypeError,
        "`tokens` has the wrong dtype: expected integers, got float64",
    ),
    (
        lambda t: t.step(t.start(1), [1]),
        TypeError,
        "`tokens` has the wrong type: expected a NumPy array of integers, got .*list",
    ),
    (
        lambda t: t.step(t.start(1), np.array([[1]])),
        ValueError,
        "`tokens` has the wrong shape: expected one dimension, got 2",
    ),
    (
        lambda t: t.start(2).select(np.array([0, 2])),
        ValueError,
        r"`rows\[1\]` is out of range: expected 0 to 2 exclusive, the number of states, got 2",
    ),
    (
        lambda t: t.start(2).select(np.array([-1])),
        ValueError,
        r"`rows\[0\]` is out of range: expected 0 to 2 exclusive, the number of states, got -1",
    ),
    (
        lambda t: t.allowed(t.start(1), np.ones((2, 4), bool)),
        ValueError,
        "axis 0 of `out` has the wrong length: expected 1 to fit the other arguments, got 2",
    ),
    (
        lambda t: t.allowed(t.start(1), np.ones((1, 4))),
        TypeError,
        "`out` is invalid: expected a C-contiguous bool array",
    ),
    (
        lambda t: t.lookup(np.array([4], np.uint64)),
        ValueError,
        "row 0 does not belong to the layout: expected 2 bits, got more",
    ),
    (
        lambda t: t.find(np.array([0], np.uint64), 2),
        ValueError,
        "the depth is out of range: expected at most 1 levels, got 2",
    ),
    (
        lambda t: Trie.build([1]),
        TypeError,
        "`source` has the wrong type: expected a SidTable, or packed SIDs .*, got .*list",
    ),
    (
        lambda t: Trie.build(np.array([3]), t.layout),
        TypeError,
        "`packed` is invalid: expected a C-contiguous uint64 array",
    ),
    (
        lambda t: build([3], [(0,), (2,)], np.array([1, 1])),
        ValueError,
        "an item is repeated: expected one Semantic ID per item, got several for item 1",
    ),
    (
        lambda t: build([3], [(0,)], np.array([-1])),
        ValueError,
        "an item of `items` is out of range: expected 0 to 4294967295, got -1",
    ),
    (
        lambda t: build([3], [(0,)], np.array([1, 2])),
        ValueError,
        "`items` has the wrong length: expected 1 elements for its shape, got 2",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD_CALLS)
def test_bad_input_is_a_clear_error(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call(build([4], [(1,)]))


@pytest.mark.parametrize("storage", ["fast", "compact"])
def test_damaged_files_are_refused(tmp_path, storage):
    path = tmp_path / "index.sidx"
    build([4, 300], [(1, 2), (3, 299), (1, 2)], storage=storage).save(path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 3):
        path.write_bytes(whole[:at])
        with pytest.raises(FormatError, match=r"^not a readable trie: "):
            Trie.open(path)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x11]) + whole[at + 1 :])
        with pytest.raises(FormatError, match=r"^not a readable trie: "):
            Trie.open(path)


GOLDEN = {
    "fast": (1168, "c04a0dc5aae960b6d40687ee6d61e6801ea8ce026ff0f5d78faebbdbd8c4e16d"),
    "compact": (784, "5367c112e855f427987b3cee4b2816ab7b46d23f6151bcf5b6c77d66425fa966"),
}


@pytest.mark.parametrize("storage", ["fast", "compact"])
def test_the_bytes_of_a_file_never_change(tmp_path, storage):
    rows = [(12, 200, 0), (12, 200, 1), (12, 200, 1), (40, 7, 0)]
    build([256, 256, 4], rows, storage=storage).save(tmp_path / "index.sidx")
    data = (tmp_path / "index.sidx").read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == GOLDEN[storage]


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.sidx"):
        Trie.open(tmp_path / "gone.sidx")
    with pytest.raises(FileNotFoundError, match=r"nowhere"):
        build([4], [(1,)]).save(tmp_path / "nowhere" / "index.sidx")


def test_what_memory_cannot_hold_is_an_error():
    trie = build([4], [(1,)])
    start, scores, log_probs = trie.start(1), np.zeros(1, np.float32), np.zeros((1, 4), np.float32)
    for call, message in [
        (
            lambda: trie.start(2**62),
            "`batch` is too large: expected values that fit into memory, got 4611686018427387904 x 1",
        ),
        (lambda: trie.start(2**45), "`batch` is too large"),
        (
            lambda: trie.beam_step(log_probs, start, scores, rows_per_group=1, beam=2**45),
            "`beam` is too large",
        ),
        (
            lambda: trie.top_items(start, scores, rows_per_group=1, k=2**45),
            "`k` is too large: expected values that fit into memory, got 1 x 35184372088832",
        ),
    ]:
        with pytest.raises(MemoryError, match=f"^{message}"):
            call()


def test_an_error_of_the_system_has_its_number(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        Trie.open(tmp_path / "gone.sidx")
    assert (caught.value.errno, caught.value.filename) == (2, str(tmp_path / "gone.sidx"))
    assert caught.value.strerror == "No such file or directory"
