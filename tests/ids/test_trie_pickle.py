"""Tries in other processes: as the path of their file, or as their bytes."""

import multiprocessing
import os
import pickle

import numpy as np
import pytest

from sidkit import SidLayout, Trie
from sidkit.errors import FormatError

LAYOUT = SidLayout([200, 7, 3])


def some(seed=0, rows=500, storage="fast"):
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(size, size=rows) for size in LAYOUT.sizes], 1).astype(np.uint16)
    return Trie.build(LAYOUT.pack(codes), LAYOUT, storage=storage)


def contents(trie):
    """All that a trie tells: its items in the order of their SIDs."""
    values, offsets = trie.items(trie.start(1))
    return trie.storage, len(trie), values.tolist(), offsets.tolist(), trie.sids(values).tolist()


@pytest.mark.parametrize("storage", ["fast", "compact"])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_built_trie_goes_as_its_bytes(storage, protocol):
    trie = some(storage=storage)
    assert contents(pickle.loads(pickle.dumps(trie, protocol))) == contents(trie)


@pytest.mark.parametrize("mmap", [False, True])
def test_an_opened_trie_goes_as_its_path(tmp_path, monkeypatch, mmap):
    monkeypatch.chdir(tmp_path)
    some(rows=5000).save("trie.sidx")
    trie = Trie.open("trie.sidx", mmap=mmap)
    written = pickle.dumps(trie)
    assert len(written) < 500 + len(str(tmp_path))
    monkeypatch.chdir("/")
    assert contents(pickle.loads(written)) == contents(trie)


def test_a_trie_whose_file_has_changed_goes_as_its_bytes(tmp_path):
    path = tmp_path / "trie.sidx"
    some(1).save(path)
    trie = Trie.open(path)
    some(2).save(path)
    os.utime(path, ns=(0, 12345))
    assert contents(pickle.loads(pickle.dumps(trie))) == contents(trie) == contents(some(1))
    path.unlink()
    assert contents(pickle.loads(pickle.dumps(trie))) == contents(trie)


def test_a_file_that_changes_on_the_way_is_refused(tmp_path):
    path = tmp_path / "trie.sidx"
    some(1).save(path)
    written = pickle.dumps(Trie.open(path))
    os.utime(path, ns=(0, 12345))
    with pytest.raises(
        ValueError, match="was changed: expected the file that the pickled trie was opened from"
    ):
        pickle.loads(written)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"trie\.sidx"):
        pickle.loads(written)


def test_damaged_bytes_are_refused():
    function, (data,) = some().__reduce__()
    with pytest.raises(FormatError, match="not a readable trie"):
        function(data[:-1])


def count(trie, queue):
    queue.put(trie.count(trie.start(1)).tolist())


@pytest.mark.slow
@pytest.mark.parametrize("opened", [False, True])
def test_in_a_spawned_process(tmp_path, opened):
    trie = some()
    if opened:
        trie.save(tmp_path / "trie.sidx")
        trie = Trie.open(tmp_path / "trie.sidx", mmap=True)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=count, args=(trie, queue))
    process.start()
    assert queue.get(timeout=60) == trie.count(trie.start(1)).tolist()
    process.join(timeout=60)
    assert process.exitcode == 0


@pytest.mark.parametrize("batch", [-1, 2**70])
def test_a_batch_that_is_none(batch):
    with pytest.raises(
        ValueError, match=f"`batch` is out of range: expected 0 to 18446744073709551615, got {batch}"
    ):
        some().start(batch)


def test_beams_that_are_none():
    trie = some()
    scores = np.zeros(1, np.float32)
    with pytest.raises(
        ValueError, match="`beam` is out of range: expected 0 to 18446744073709551615, got -1"
    ):
        log_probs = np.zeros((1, 200), np.float32)
        trie.beam_step(log_probs, trie.start(1), scores, rows_per_group=1, beam=-1)
    with pytest.raises(
        ValueError, match="`rows_per_group` is out of range: expected 0 to 18446744073709551615, got -2"
    ):
        trie.top_items(trie.start(1), scores, rows_per_group=-2, k=3)
