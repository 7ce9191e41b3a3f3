"""Batches of 100,000 items on a trie of ten million, and readers of masks beside the writer.

A batch removes 50,000 items and adds as many, or only adds, or only removes. What is timed is the call: when
it returns, the batch is seen, and in a folder it is on the disk. A reader takes a snapshot and masks 64
prefixes of two tokens; its 50th and 99th percentile are taken alone, and while a writer applies one batch
after another. Both are checked before they are timed. `SIDKIT_CHURN_ITEMS` makes the base smaller.
"""

import os
import threading
from time import perf_counter

import numpy as np
import pytest

from sidkit import LiveTrie, SidLayout, Trie

ITEMS = int(os.environ.get("SIDKIT_CHURN_ITEMS", 10_000_000))
BATCH = ITEMS // 100
LAYOUT = SidLayout([256] * 4)


class World:
    """A live trie and the batches that come to it; every batch names items that no other does."""

    def __init__(self, folder, storage) -> None:
        self.random = np.random.default_rng(0)
        self.next, self.oldest = ITEMS, 0
        trie = Trie.build(self.sids(ITEMS), LAYOUT, storage=storage)
        self.live = LiveTrie(trie) if folder is None else LiveTrie.create(folder, trie)

    def sids(self, count: int):
        return self.random.integers(0, 2**32, count, dtype=np.uint64)

    def batch(self, come: int, go: int):
        items = np.arange(self.next, self.next + come)
        # Old items are spread over all Semantic IDs, since these are random.
        remove = np.arange(self.oldest, self.oldest + go)
        self.next, self.oldest = self.next + come, self.oldest + go
        return {"sids": self.sids(come), "items": items, "remove": remove}

    def check(self, batch) -> None:
        before = self.live.snapshot()
        self.live.update(**batch)
        after = self.live.snapshot()
        assert after.item_count == before.item_count + len(batch["items"]) - len(batch["remove"])
        np.testing.assert_array_equal(after.sids(batch["items"]), batch["sids"])
        assert not len(after.item_set(batch["remove"]))
        assert len(before.item_set(batch["remove"])) == len(batch["remove"])


@pytest.fixture(scope="module", params=["memory", "folder", "memory, compact"])
def world(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("churn") / "live" if request.param == "folder" else None
    return World(folder, "compact" if request.param == "memory, compact" else "fast")


@pytest.mark.parametrize(("come", "go"), [(BATCH, 0), (0, BATCH), (BATCH // 2, BATCH // 2)])
def test_batch(benchmark, world, come, go):
    world.check(world.batch(come, go))
    benchmark.group = f"{ITEMS:,} items"
    benchmark.pedantic(
        world.live.update, setup=lambda: ((), world.batch(come, go)), rounds=10, warmup_rounds=1
    )


def test_compact(benchmark, world):
    def change():
        world.live.update(**world.batch(1000, 1000))

    benchmark.group = f"{ITEMS:,} items"
    benchmark.pedantic(world.live.compact, setup=change, rounds=3)
    assert world.live.pending == (0, 0)


def read(live, prefixes, out, seconds: float):
    """Time one request after another; their latencies in seconds."""
    latencies, end = [], perf_counter() + seconds
    while (start := perf_counter()) < end:
        trie = live.snapshot()
        states = trie.step(trie.step(trie.start(len(prefixes)), prefixes[:, 0]), prefixes[:, 1])
        trie.allowed(states, out)
        latencies.append(perf_counter() - start)
    return np.array(latencies)


def test_readers_beside_a_writer(benchmark, world):
    prefixes = np.random.default_rng(1).integers(0, 256, (64, 2))
    out = np.zeros((64, 256), bool)
    world.check(world.batch(BATCH // 2, BATCH // 2))
    trie = world.live.snapshot()
    states = trie.step(trie.step(trie.start(64), prefixes[:, 0]), prefixes[:, 1])
    found = trie.items(states)[0]
    tokens = LAYOUT.unpack(trie.sids(found))
    expected = np.zeros((64, 256), bool)
    for row, prefix in enumerate(prefixes):
        expected[row, tokens[(tokens[:, :2] == prefix).all(axis=1), 2]] = True
    assert (trie.allowed(states) == expected).all()

    alone = read(world.live, prefixes, out, 3.0)
    stop, batches = threading.Event(), [world.batch(BATCH // 2, BATCH // 2) for _ in range(100)]

    def write():
        while batches and not stop.is_set():
            world.live.update(**batches.pop())

    writer = threading.Thread(target=write)
    writer.start()
    beside = benchmark.pedantic(read, args=(world.live, prefixes, out, 3.0), rounds=1)
    stop.set()
    writer.join()
    assert len(batches) < 100
    for name, latencies in (("alone", alone), ("beside", beside)):
        for percent in (50, 99):
            benchmark.extra_info[f"p{percent}_us_{name}"] = 1e6 * float(np.percentile(latencies, percent))
    benchmark.extra_info["batches"] = 100 - len(batches)
