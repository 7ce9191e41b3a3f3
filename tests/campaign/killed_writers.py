"""Writers of live tries that are killed with SIGKILL: every acknowledged batch is there, and no half one."""

import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
from tests.campaign.topics import ROOT, directory

from sidkit import LiveTrie

WRITER = """
import sys
import numpy as np
from sidkit import LiveTrie, SidLayout, Trie
layout = SidLayout((256, 256))
live = LiveTrie.create(sys.argv[1], Trie.build(np.zeros(0, np.uint64), layout))
print("ready", flush=True)
for batch in range(10**9):
    items = np.arange(5 * batch, 5 * batch + 5)
    live.add((items % 65536).astype(np.uint64), items)
    if batch % 3 == 2:
        live.remove(items - 5)
    print(batch, flush=True)
    if batch % 50 == 49:
        live.compact()
"""


def run(seconds: float, seed: int) -> dict[str, int]:
    """Kill writers at random moments for so many seconds."""
    rng = np.random.default_rng(seed)
    counts = Counter(killed=0, batches=0, torn=0, bad_lost=0, bad_halves=0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        kill_one(rng, counts)
    return dict(counts)


def kill_one(rng: np.random.Generator, counts: Counter[str]) -> None:
    """Start a writer, kill it, and open what it leaves."""
    with directory() as folder:
        command = [sys.executable, "-c", WRITER, str(folder / "live")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(rng.uniform(0, 0.3))
            writer.send_signal(signal.SIGKILL)
            told = writer.stdout.read().split("\n")[:-1]
        acknowledged = int(told[-1]) if told else -1
        live = LiveTrie.open(folder / "live")
        trie = live.snapshot()
        items = set(trie.items(trie.start(1))[0].tolist())
        counts.update(killed=1, batches=acknowledged + 1, torn=live.torn > 0)
        # The next batch, or its first half, may have been written before the writer could say so.
        allowed = [
            expected(acknowledged, True),
            expected(acknowledged + 1, False),
            expected(acknowledged + 1, True),
        ]
        counts["bad_lost"] += not allowed[0] <= items | expected_gone(acknowledged + 1)
        counts["bad_halves"] += items not in allowed


def expected(batch: int, removed: bool) -> set[int]:
    """Return the items after a batch of the writer, and after the removal that follows it if `removed`."""
    items = set(range(5 * (batch + 1)))
    for gone in range(2, batch + 1, 3):
        if gone < batch or removed:
            items -= set(range(5 * gone - 5, 5 * gone))
    return items


def expected_gone(batch: int) -> set[int]:
    """Return the items that the removal after a batch takes away."""
    return set(range(5 * batch - 5, 5 * batch)) if batch % 3 == 2 else set()
