"""Processes forked while a live trie is in use: they read it, and never wait for a lock of their parent."""

import os
import signal
import threading
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from tests.campaign.topics import directory

from sidkit import LiveTrie, SidLayout, Trie

LAYOUT = SidLayout((256, 256))


def run(seconds: float, seed: int) -> dict[str, int]:
    """Fork while another thread applies batches, for so many seconds."""
    counts = Counter(forks=0, bad_hangs=0, bad_children=0)
    with directory() as folder:
        for live in (start(None), start(folder / f"live-{seed}")):
            end = time.monotonic() + seconds / 2
            stop = threading.Event()
            writer = threading.Thread(target=write, args=(live, stop))
            writer.start()
            try:
                while True:
                    fork(live, counts)
                    if time.monotonic() > end:
                        break
            finally:
                stop.set()
                writer.join()
    return dict(counts)


def start(path: Path | None) -> LiveTrie:
    """Return a live trie in memory, or in a directory."""
    trie = Trie.build(np.arange(2000, dtype=np.uint64), LAYOUT)
    return LiveTrie(trie) if path is None else LiveTrie.create(path, trie)


def write(live: LiveTrie, stop: threading.Event) -> None:
    """Apply batches until the end."""
    batch = 0
    while not stop.is_set():
        items = np.arange(10_000 + 10 * batch, 10_010 + 10 * batch)
        live.update(sids=(items % 65536).astype(np.uint64), items=items, remove=items - 10 if batch else None)
        batch += 1


def fork(live: LiveTrie, counts: Counter[str]) -> None:
    """Fork, and use the live trie in the child."""
    counts["forks"] += 1
    with warnings.catch_warnings():
        # Python itself warns of a fork while other threads run.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os._exit(use(live))
    limit = time.monotonic() + 120
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            counts["bad_children"] += status != 0
            return
        if time.monotonic() > limit:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            counts["bad_hangs"] += 1
            return
        time.sleep(0.001)


def use(live: LiveTrie) -> int:
    """Read and write in the child; 0 if all went as documented."""
    trie = live.snapshot()
    if trie.item_count < 2000 or live.batches < 0 or live.unique:
        return 1
    try:
        live.add(np.array([9], np.uint64), np.array([2**31]))
        live.compact()
    except OSError as error:
        return 0 if "open it after the fork" in str(error) else 2
    return 0 if live.snapshot().item_count == trie.item_count + 1 else 3
