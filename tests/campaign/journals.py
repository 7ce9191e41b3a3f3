"""Damaged journals of live tries: an error with the place, or all batches but an unfinished last one."""

import shutil
import time
from collections import Counter
from pathlib import Path

import numpy as np
from tests.campaign.topics import directory

from sidkit import LiveTrie, SidLayout, Trie
from sidkit.errors import FormatError

SIZES = (16, 16, 300)
BATCHES = 12
RECORD = b"sidBATCH"


def run(seconds: float, seed: int) -> dict[str, int]:
    """Damage the journal of a live trie for so many seconds, open it, and recover it now and then."""
    rng = np.random.default_rng(seed)
    counts = Counter(
        journals=0,
        intact=0,
        refused=0,
        torn=0,
        recovered=0,
        bad_silent_losses=0,
        bad_states=0,
        bad_recoveries=0,
    )
    end = time.monotonic() + seconds
    with directory() as folder:
        world = World(folder / "live", rng)
        while time.monotonic() < end:
            attack(world, rng, counts)
    return dict(counts)


class World:
    """A live trie in a directory, its states after each batch, and where its records begin."""

    def __init__(self, path: Path, rng: np.random.Generator) -> None:
        self.path = path
        layout = SidLayout(SIZES)
        unique = bool(rng.integers(2))
        free = rng.permutation(16 * 16 * 300)

        def keys(count: int) -> np.ndarray:
            nonlocal free
            chosen, free = free[:count], free[count:]
            rows = np.stack([chosen // 4800, chosen // 300 % 16, chosen % 300], axis=1)
            return layout.pack(rows.astype(np.uint16))

        live = LiveTrie.create(path, Trie.build(keys(20), layout), unique=unique)
        known = set(range(20))
        self.states = [content(live)]
        for batch in range(BATCHES):
            gone = rng.choice(sorted(known), int(rng.integers(0, 4)), replace=False)
            come = np.arange(100 * batch + 100, 100 * batch + 101 + int(rng.integers(0, 9)))
            live.update(sids=keys(len(come)), items=come, remove=gone)
            known = (known - set(gone.tolist())) | set(come.tolist())
            self.states.append(content(live))
        del live
        self.journal = (path / "journal").read_bytes()
        self.base = sorted(path.glob("base-*"))[0].read_bytes()
        self.records = [at for at in range(0, len(self.journal), 8) if self.journal[at : at + 8] == RECORD]
        self.header = self.records[0]

    def damage(self, rng: np.random.Generator) -> bytes:
        """Return a damaged copy of the journal."""
        whole, changed = self.journal, bytearray(self.journal)
        at = int(rng.integers(len(whole)))
        match rng.integers(9):
            case 0:
                for _ in range(rng.integers(1, 4)):
                    changed[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
            case 1:
                stop = min(len(whole), at + int(rng.choice([4, 24, 64, 200, 512])))
                changed[at:stop] = bytes(stop - at)
            case 2:
                border = self.records[int(rng.integers(1, BATCHES))]
                changed[border - 12 : border + 12] = bytes(24)
            case 3:
                stop = min(len(whole), at + int(rng.integers(1, 300)))
                changed[at:stop] = rng.bytes(stop - at)
            case 4:
                del changed[at:]
            case 5:
                del changed[at : at + int(rng.integers(1, 200))]
            case 6:
                part = whole[at : at + int(rng.integers(1, 200))]
                place = int(rng.integers(len(whole)))
                changed[place:place] = part
            case 7:
                changed += bytes(rng.bytes(int(rng.integers(1, 200))) if rng.integers(2) else 4096)
            case _:
                del changed[at:]
                changed += bytes(len(whole) - len(changed))
        return bytes(changed)


def content(live: LiveTrie) -> bytes:
    """Return the items and the Semantic IDs of the current snapshot."""
    trie = live.snapshot()
    items = np.sort(trie.items(trie.start(1))[0]).astype(np.int64)
    return items.tobytes() + trie.sids(items).tobytes()


def attack(world: World, rng: np.random.Generator, counts: Counter[str]) -> None:
    """Open one damaged journal."""
    data = world.damage(rng)
    journal = world.path / "journal"
    journal.write_bytes(data)
    counts["journals"] += 1
    try:
        live = LiveTrie.open(world.path)
    except FormatError:
        counts["refused"] += 1
        if rng.integers(20) == 0:
            recover(world, data, counts)
        return
    lost = BATCHES - live.batches
    counts["bad_states"] += content(live) != world.states[live.batches]
    counts["bad_silent_losses"] += lost > 1 or (lost == 1 and live.torn == 0)
    counts["torn" if live.torn else "intact"] += 1


def recover(world: World, data: bytes, counts: Counter[str]) -> None:
    """Recover a damaged journal; every record that is still whole must be in the result."""
    told: list[str] = []
    live = LiveTrie.recover(world.path, told.append)
    counts["recovered"] += 1
    whole = [number for number, record in enumerate(records(world), 1) if record in data]
    items = set(live.snapshot().items(live.snapshot().start(1))[0].tolist())
    removed = set()
    for number in range(1, BATCHES + 1):
        before, after = items_of(world.states[number - 1]), items_of(world.states[number])
        if number in whole:
            removed |= before - after
    expected = {
        item
        for number in whole
        for item in items_of(world.states[number]) - items_of(world.states[number - 1])
    }
    counts["bad_recoveries"] += not told or not (expected - removed) <= items or bool(items & removed)
    del live
    shutil.rmtree(world.path)
    world.path.mkdir()
    (world.path / "base-00000000000000000000.sidx").write_bytes(world.base)


def records(world: World) -> list[bytes]:
    """Return the bytes of each record."""
    ends = [*world.records[1:], len(world.journal)]
    return [world.journal[start:end] for start, end in zip(world.records, ends, strict=True)]


def items_of(state: bytes) -> set[int]:
    """Return the items of a state."""
    numbers = np.frombuffer(state, np.int64)
    return set(numbers[: len(numbers) // 2].tolist())
