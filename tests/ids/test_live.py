"""The live trie against a dict from items to SIDs."""

import shutil
import tempfile
import threading
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sidkit import LiveTrie, SidLayout, Trie
from sidkit.errors import CollisionError, FormatError

SIDS = Path(__file__).parents[2] / "../shared/data/beauty/sids_letter.parquet"
SIZES = (3, 300, 4)
LAYOUT = SidLayout(SIZES)
TOKENS = st.tuples(*(st.integers(0, 2) | st.just(size - 1) for size in SIZES))


def packed(rows):
    return LAYOUT.pack(np.array(rows, np.uint16).reshape(-1, len(SIZES)))


def numbers(items):
    return np.array(items, np.int64)


def rows_of(ragged):
    values, offsets = ragged
    return [values[start:end].tolist() for start, end in pairwise(offsets)]


class Churn(RuleBasedStateMachine):
    """Batches, compactions and reopenings in any order; snapshots are checked at once and at the end."""

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.copies = 0
        self.kept = []

    @initialize(
        rows=st.lists(TOKENS, max_size=30),
        storage=st.sampled_from(["fast", "compact"]),
        mmap=st.booleans(),
        disk=st.booleans(),
    )
    def begin(self, rows, storage, mmap, disk):
        self.sids = dict(enumerate(rows))
        self.mmap, self.storage, self.path, self.batches = mmap, storage, None, 0
        trie = Trie.build(packed(rows), LAYOUT, storage=storage)
        if disk:
            self.path = self.root / "live"
            self.live = LiveTrie.create(self.path, trie, mmap=mmap)
        else:
            self.live = LiveTrie(trie)

    def commit(self, rows, items, gone):
        self.batches += bool(items or gone)
        for item in gone:
            del self.sids[item]
        self.sids.update(zip(items, rows, strict=True))

    @rule(data=st.data(), rows=st.lists(TOKENS, max_size=20))
    def add(self, data, rows):
        free = st.integers(0, 60).filter(lambda item: item not in self.sids) | st.integers(2**31, 2**32 - 1)
        items = data.draw(st.lists(free, min_size=len(rows), max_size=len(rows), unique=True))
        if not set(items) & set(self.sids):
            self.live.add(packed(rows), numbers(items))
            self.commit(rows, items, [])

    @rule(data=st.data())
    def remove(self, data):
        gone = data.draw(st.lists(st.sampled_from(sorted(self.sids)), unique=True)) if self.sids else []
        self.live.remove(numbers(gone))
        self.commit([], [], gone)

    @rule(data=st.data(), row=TOKENS)
    def move(self, data, row):
        if self.sids:
            item = data.draw(st.sampled_from(sorted(self.sids)))
            self.live.update(sids=packed([row]), items=numbers([item]), remove=numbers([item]))
            self.commit([row], [item], [item])

    @rule(row=TOKENS)
    def refused(self, row):
        if self.sids:
            item = min(self.sids)
            with pytest.raises(ValueError, match=f"expected an item that is not in the trie, got {item}"):
                self.live.add(packed([row]), numbers([item]))
        with pytest.raises(ValueError, match="row 0: expected an item of the trie, got 77"):
            self.live.remove(numbers([77]))

    @rule()
    def compact(self):
        self.live.compact()
        assert self.live.pending == (0, 0)

    @rule()
    def keep(self):
        self.kept.append((self.live.snapshot(), dict(self.sids)))

    @rule()
    def reopen(self):
        if self.path is not None:
            del self.live
            self.live = LiveTrie.open(self.path, mmap=self.mmap)
            assert self.live.torn == 0

    @rule()
    def save(self):
        self.copies += 1
        copy = self.root / f"copy-{self.copies}"
        self.live.save(copy)
        self.check(LiveTrie.open(copy, mmap=self.mmap).snapshot(), self.sids)

    @invariant()
    def answers_as_the_dict(self):
        self.check(self.live.snapshot(), self.sids)
        assert self.live.batches == self.batches

    def check(self, trie, sids):
        shelves = defaultdict(list)
        for item in sorted(sids):
            shelves[sids[item]].append(item)
        oracle = dict(sorted(shelves.items()))
        assert (trie.item_count, len(trie), trie.storage) == (len(sids), len(oracle), self.storage)
        states, prefixes = trie.start(1), [()]
        for depth in range(len(SIZES)):
            children = [sorted({sid[depth] for sid in oracle if sid[:depth] == p}) for p in prefixes]
            assert [np.flatnonzero(row).tolist() for row in trie.allowed(states)] == children
            rows = np.repeat(np.arange(len(prefixes)), [len(codes) for codes in children])
            codes = numbers([code for codes in children for code in codes])
            prefixes = [(*prefixes[row], int(code)) for row, code in zip(rows, codes, strict=True)]
            states = trie.step(states.select(rows), codes)
        assert prefixes == list(oracle)
        assert rows_of(trie.items(states)) == list(oracle.values())
        assert rows_of(trie.lookup(packed(list(oracle)))) == list(oracle.values())
        assert trie.sids(numbers(list(sids))).tolist() == packed(list(sids.values())).tolist()

    def teardown(self):
        for trie, sids in self.kept:
            self.check(trie, sids)
        shutil.rmtree(self.root)


Churn.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestChurn = Churn.TestCase


def small(**options):
    return LiveTrie(Trie.build(packed([(0, 1, 2), (2, 299, 3)]), LAYOUT), **options)


BAD_CALLS = [
    (
        lambda live: live.remove([0]),
        TypeError,
        "`remove` has the wrong type: expected a NumPy array of integers, got .*list",
    ),
    (
        lambda live: live.remove(numbers([0, 0])),
        ValueError,
        "expected one Semantic ID per item, got several for item 0",
    ),
    (
        lambda live: live.add(packed([(1, 1, 1)] * 2), numbers([5, 5])),
        ValueError,
        "expected one Semantic ID per item, got several for item 5",
    ),
    (
        lambda live: live.add(packed([(1, 1, 1)]), numbers([5, 6])),
        ValueError,
        "`items` has the wrong length: expected 1 elements",
    ),
    (
        lambda live: live.add(packed([(1, 1, 1)]), numbers([-1])),
        ValueError,
        "an item of `items` is out of range: expected 0 to 4294967295, got -1",
    ),
    (
        lambda live: live.add(np.array([1.0]), numbers([5])),
        TypeError,
        "`sids` is invalid: expected a C-contiguous uint64",
    ),
    (
        lambda live: live.add(np.array([2**60], np.uint64), numbers([5])),
        ValueError,
        "row 0 does not belong to the layout",
    ),
    (lambda live: live.update(items=numbers([5])), ValueError, "`sids` and `items` belong together"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD_CALLS)
def test_errors_name_what_came_and_change_nothing(call, error, message):
    live = small()
    with pytest.raises(error, match=message):
        call(live)
    assert (live.batches, live.snapshot().item_count) == (0, 2)


def test_unique_sids():
    live = small(unique=True)
    with pytest.raises(CollisionError, match="expected distinct ones, got one for items 5 and 0"):
        live.add(packed([(0, 1, 2)]), numbers([5]))
    live.update(sids=packed([(0, 1, 2)]), items=numbers([5]), remove=numbers([0]))
    with pytest.raises(CollisionError):
        LiveTrie(Trie.build(packed([(0, 1, 2)] * 2), LAYOUT), unique=True)
    assert repr(live) == "<LiveTrie of 2 SIDs under [3, 300, 4], 2 items>"


def test_states_and_sets_belong_to_their_snapshot():
    live = small()
    before = live.snapshot()
    states, chosen = before.start(1), before.item_set(numbers([0]))
    live.remove(numbers([1]))
    after = live.snapshot()
    with pytest.raises(ValueError, match="belong to another trie"):
        after.allowed(states)
    with pytest.raises(ValueError, match="belongs to another trie"):
        after.allowed(after.start(1), allow=chosen)
    assert before.count(states).tolist() == [2]


def test_a_folder_is_checked_and_locked(tmp_path):
    path = tmp_path / "live"
    live = LiveTrie.create(path, small().snapshot())
    live.remove(numbers([0]))
    live.add(packed([(1, 0, 0)]), numbers([4]))
    with pytest.raises(BlockingIOError, match="open already"):
        LiveTrie.open(path)
    del live
    with pytest.raises(OSError, match="there is a live trie already"):
        LiveTrie.create(path, small().snapshot())
    journal = path / "journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-3])
    live = LiveTrie.open(path)
    assert (live.torn > 0, live.batches, live.snapshot().item_count) == (True, 1, 1)
    del live
    journal.write_bytes(whole[:108] + b"?" + whole[109:])
    with pytest.raises(FormatError, match="batch 1 of the journal is damaged, and batch 2 follows it"):
        LiveTrie.open(path)


def test_damage_is_an_error_with_its_place_and_intact_batches_can_be_recovered(tmp_path):
    path = tmp_path / "live"
    live = LiveTrie.create(path, small().snapshot())
    for item in (4, 5, 6):
        live.add(packed([(1, item, 0)]), numbers([item]))
    del live
    journal = path / "journal"
    whole = journal.read_bytes()
    at = [place for place in range(len(whole)) if whole[place:].startswith(b"sidBATCH")]
    # Zeros over the border of the last two batches.
    damaged = whole[: at[2] - 12] + bytes(24) + whole[at[2] + 12 :]
    journal.write_bytes(damaged)
    with pytest.raises(
        FormatError, match=f"batch 2 of the journal is damaged, .* at bytes {at[1]} to {at[2]}"
    ):
        LiveTrie.open(path)
    assert journal.read_bytes() == damaged
    told = []
    live = LiveTrie.recover(path, told.append)
    assert sorted(live.snapshot().items(live.snapshot().start(1))[0]) == [0, 1, 4]
    assert live.batches == 3
    assert [line.partition(": ")[2] for line in told] == [
        "no batch is whole here",
        "batches 2 to 3 are damaged or missing",
    ]
    assert (path / "journal.damaged").read_bytes() == damaged
    del live
    live = LiveTrie.open(path)
    assert (live.torn, live.batches, live.snapshot().item_count) == (0, 3, 3)
    del live
    journal.write_bytes(b"?" + journal.read_bytes()[1:])
    with pytest.warns(match="the header is damaged"):
        LiveTrie.recover(path)


def test_batches_that_were_acknowledged_and_cut_off_are_missed(tmp_path):
    path = tmp_path / "live"
    live = LiveTrie.create(path, small().snapshot())
    for item in (4, 5, 6):
        live.add(packed([(1, item, 0)]), numbers([item]))
    del live
    journal = path / "journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole[: whole.index(b"sidBATCH")])
    with pytest.raises(FormatError, match="batch 1 of the journal is damaged, and batch 3 was acknowledged"):
        LiveTrie.open(path)


def test_readers_see_whole_batches_only():
    layout = SidLayout([8, 256])
    tokens = np.arange(200, dtype=np.uint64)
    live = LiveTrie(Trie.build(tokens, layout), unique=True)
    stop, failures, seen = threading.Event(), [], []

    def read():
        count = 0
        while not stop.is_set():
            trie = live.snapshot()
            first = np.flatnonzero(trie.allowed(trie.start(1))[0])
            items, _ = trie.items(trie.start(1))
            if len(first) != 1 or len(items) != 200 or items[-1] - items[0] != 199:
                failures.append((first, items))
            count += 1
        seen.append(count)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for batch in range(1, 200):
        items = np.arange(200) + 200 * batch
        sids = tokens + np.uint64(batch % 8 << 8)
        live.update(sids=sids, items=items, remove=items - 200)
    stop.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert min(seen) > 0


@pytest.mark.data
@pytest.mark.skipif(not SIDS.exists(), reason="the published SIDs of Beauty are not beside the project")
def test_published_sids_of_beauty(tmp_path):
    pl = pytest.importorskip("polars")
    tokens = pl.read_parquet(SIDS).select(pl.col("^c\\d+$")).to_numpy().astype(np.uint16)
    layout = SidLayout([256] * tokens.shape[1])
    sids, items = layout.pack(np.ascontiguousarray(tokens)), np.arange(len(tokens))
    whole = Trie.build(sids, layout)
    assert whole.item_count - len(whole) == 13
    with pytest.raises(CollisionError):
        LiveTrie(whole, unique=True)
    half = items % 2 == 0
    live = LiveTrie.create(tmp_path / "live", Trie.build(sids[half], layout, items[half]), mmap=True)
    live.add(sids[~half], items[~half])
    live.remove(items[:1000])
    live.add(sids[:1000], items[:1000])
    whole.save(tmp_path / "built")
    live.snapshot().save(tmp_path / "spliced")
    assert (tmp_path / "built").read_bytes() == (tmp_path / "spliced").read_bytes()
