"""Live tries against a dict: random batches, compactions and crashes; no acknowledged item is lost."""

import shutil
import time
from collections import Counter
from pathlib import Path

import numpy as np
from tests.campaign.topics import directory

from sidkit import LiveTrie, SidLayout, Trie
from sidkit.errors import SidkitError

LAYOUT = SidLayout((8, 300, 4))


def run(seconds: float, seed: int) -> dict[str, int]:
    """Take random steps for so many seconds."""
    rng = np.random.default_rng(seed)
    counts = Counter(steps=0, batches=0, refused=0, crashes=0, compactions=0, bad_states=0)
    end = time.monotonic() + seconds
    with directory() as folder:
        while time.monotonic() < end:
            world = World(folder / "live", rng, counts)
            for _ in range(500):
                world.step()
            del world.live
            shutil.rmtree(folder)
            folder.mkdir()
    return dict(counts)


class World:
    """A live trie in a directory, and the Semantic ID of each of its items."""

    def __init__(self, path: Path, rng: np.random.Generator, counts: Counter[str]) -> None:
        self.path, self.rng, self.counts = path, rng, counts
        self.unique = bool(rng.integers(2))
        storage = "fast" if rng.integers(2) else "compact"
        self.mmap = bool(rng.integers(2))
        empty = Trie.build(np.zeros(0, np.uint64), LAYOUT, storage=storage)
        self.live = LiveTrie.create(path, empty, unique=self.unique, mmap=self.mmap)
        self.sids: dict[int, int] = {}

    def step(self) -> None:
        """Take one step."""
        self.counts["steps"] += 1
        match self.rng.integers(40):
            case 0:
                self.live.compact()
                self.counts["compactions"] += 1
            case 1 | 2:
                self.crash()
            case 3:
                self.check()
            case _:
                self.batch()

    def batch(self) -> None:
        """Remove some items, add others, and move some; refused batches must change nothing."""
        rng, known = self.rng, list(self.sids)
        gone = (
            rng.choice(known, min(len(known), int(rng.integers(0, 4))), replace=False).tolist()
            if known
            else []
        )
        come = rng.integers(0, 200, int(rng.integers(0, 4))).tolist()
        tokens = np.stack([rng.integers(0, size, len(come)) for size in LAYOUT.sizes], axis=1).astype(
            np.uint16
        )
        keys = LAYOUT.pack(tokens)
        after = {item: sid for item, sid in self.sids.items() if item not in gone}
        valid = len(set(come)) == len(come) and not set(come) & set(after)
        after |= dict(zip(come, keys.tolist(), strict=True))
        if self.unique:
            valid = valid and len(set(after.values())) == len(after)
        try:
            self.live.update(sids=keys, items=np.array(come, np.int64), remove=np.array(gone, np.int64))
        except SidkitError:
            self.counts["refused"] += 1
            self.counts["bad_states"] += valid
        else:
            self.counts["batches"] += 1
            self.counts["bad_states"] += not valid
            self.sids = after

    def crash(self) -> None:
        """Go on with a copy of the files as they are, behind which a part of a record may follow."""
        copy = self.path.with_name("copy")
        shutil.copytree(self.path, copy)
        del self.live
        shutil.rmtree(self.path)
        copy.rename(self.path)
        torn = self.rng.integers(2)
        if torn:
            with (self.path / "journal").open("ab") as journal:
                journal.write(b"sidBATCH" + self.rng.bytes(int(self.rng.integers(1, 60))))
        self.live = LiveTrie.open(self.path, mmap=self.mmap)
        self.counts["crashes"] += 1
        self.counts["bad_states"] += bool(torn) != bool(self.live.torn)
        self.check()

    def check(self) -> None:
        """Compare the current snapshot with the dict."""
        trie = self.live.snapshot()
        items = np.array(sorted(self.sids), np.int64)
        found = np.sort(trie.items(trie.start(1))[0]).tolist()
        same = found == items.tolist() and trie.sids(items).tolist() == [
            self.sids[item] for item in items.tolist()
        ]
        self.counts["bad_states"] += not same
