"""Damaged trie files, verified and trusted: an error or an answer, never a crash, a hang or a panic."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tests.campaign.topics import Alarm, alarm, directory

from sidkit import LiveTrie, SidLayout, Trie
from sidkit.errors import InternalError, SidkitError

#: Sizes of the levels, number of items, items per Semantic ID.
WORLDS = [
    ((4, 4), 0, 1),
    ((4, 1, 4), 1, 1),
    ((3, 300, 70), 400, 1),
    ((8, 64), 300, 2),
    ((2,) * 9, 200, 3),
    ((512,) * 8, 90, 1),
]
#: Numbers that are often the limits of something.
EXTREMES = [
    0,
    1,
    2,
    63,
    64,
    127,
    128,
    255,
    256,
    511,
    512,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 2,
    2**32 - 1,
    2**63,
    2**64 - 1,
]


def run(seconds: float, seed: int) -> dict[str, int]:
    """Open damaged files for so many seconds, and ask the tries that open everything."""
    rng = np.random.default_rng(seed)
    counts = Counter(
        files=0,
        trusted_opened=0,
        verified_opened=0,
        bad_hangs=0,
        bad_panics=0,
        bad_encodings=0,
        bad_answers=0,
    )
    end = time.monotonic() + seconds
    with directory() as folder:
        path = folder / "trie"
        files = originals(path)
        while time.monotonic() < end:
            whole = files[rng.integers(len(files))]
            data = mutate(whole, rng)
            path.write_bytes(data)
            counts["files"] += 1
            attack(path, data, whole, bool(rng.integers(2)), counts)
    return dict(counts)


def originals(path: Path) -> list[bytes]:
    """Return the bytes of intact files of both storages."""
    files = []
    for sizes, items, sharing in WORLDS:
        rng = np.random.default_rng(items)
        tokens = np.stack([rng.integers(0, size, items // sharing + 1) for size in sizes], axis=1)
        rows = np.repeat(tokens, sharing, axis=0)[:items].astype(np.uint16)
        layout = SidLayout(sizes)
        for storage in ("fast", "compact"):
            Trie.build(layout.pack(np.ascontiguousarray(rows)), layout, storage=storage).save(path)
            files.append(path.read_bytes())
    return files


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Return `data` with one to four changes; most keep the length that the header announces."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(8, len(changed)))
        match rng.integers(7):
            case 0:
                changed[at] ^= 1 << int(rng.integers(8))
            case 1 | 2:
                width = int(rng.choice([1, 2, 4, 8]))
                at -= at % width
                number = int(EXTREMES[rng.integers(len(EXTREMES))]) % 2 ** (8 * width)
                changed[at : at + width] = number.to_bytes(width, "little")[: len(changed) - at]
            case 3:
                changed[at : at + int(rng.integers(1, 65))] = b""
                changed += bytes(len(data) - len(changed))
            case 4:
                stop = min(len(changed), at + int(rng.integers(1, 129)))
                changed[at:stop] = bytes(stop - at)
            case 5:
                stop = min(len(changed), at + int(rng.integers(1, 65)))
                changed[at:stop] = rng.bytes(stop - at)
            case _:
                source = int(rng.integers(8, len(changed)))
                part = changed[source : source + int(rng.integers(1, 65))]
                changed[at : at + len(part)] = part[: len(changed) - at]
    if rng.integers(20) == 0:
        del changed[int(rng.integers(len(changed))) :]
    return bytes(changed)


def attack(path: Path, data: bytes, whole: bytes, mmap: bool, counts: Counter[str]) -> None:
    """Open one file both ways and ask what opens."""
    try:
        verified = Trie.open(path, mmap=mmap)
    except SidkitError:
        pass
    else:
        counts["verified_opened"] += 1
        counts["bad_encodings"] += saved(verified, path) != data
        counts["bad_answers"] += data != whole
    try:
        trie = Trie.open(path, mmap=mmap, trusted=True)
    except SidkitError as error:
        counts["bad_panics"] += isinstance(error, InternalError)
        return
    counts["trusted_opened"] += 1
    for query in queries(trie):
        try:
            with alarm(60):
                query()
        except Alarm:
            counts["bad_hangs"] += 1
        except InternalError:
            counts["bad_panics"] += 1
        except (SidkitError, MemoryError):
            counts["trusted_errors"] += 1


def saved(trie: Trie, path: Path) -> bytes:
    """Return the bytes that a trie is saved as."""
    other = path.with_name("saved")
    trie.save(other)
    return other.read_bytes()


def queries(trie: Trie) -> list[Callable[[], Any]]:
    """Return calls of everything a trie can be asked."""
    rng = np.random.default_rng(1)
    layout = trie.layout
    keys = layout.pack(
        np.stack([rng.integers(0, size, 40) for size in layout.sizes], axis=1).astype(np.uint16)
    )
    items = np.arange(40)

    def walk() -> None:
        limits: list[dict[str, Any]] = [
            {},
            {"exclude": (items, np.array([0, 40]))},
            {"allow": trie.item_set(items)},
        ]
        states = trie.start(4)
        scores = np.zeros(4, np.float32)
        for size in layout.sizes:
            for kwargs in limits:
                trie.allowed(states, rows_per_group=4, **kwargs)
            trie.bitmask(states)
            log_probs: npt.NDArray[np.float32] = np.zeros((4, size), np.float32)
            trie.mask_logits(states, log_probs)
            trie.count(states)
            for kwargs in limits[1:]:
                trie.items(states, rows_per_group=4, **kwargs)
                trie.beam_step(log_probs, states, scores, rows_per_group=4, beam=4, **kwargs)
            scores, _, _, states = trie.beam_step(
                np.zeros((4, size), np.float32), states, scores, rows_per_group=4, beam=4
            )
        for kwargs in limits:
            trie.top_items(states, scores, rows_per_group=4, k=5, **kwargs)

    def change() -> None:
        live = LiveTrie(trie)
        live.update(sids=keys[:5], items=np.arange(2**31, 2**31 + 5), remove=trie.items(trie.start(1))[0][:3])
        live.compact()
        live.snapshot().items(live.snapshot().start(1))

    return [
        walk,
        change,
        lambda: trie.items(trie.start(3)),
        lambda: [trie.find(keys, depth) for depth in range(len(layout.sizes) + 1)],
        lambda: trie.lookup(keys),
        lambda: trie.lookup(keys[:2]),
        lambda: trie.sids(items[:5]),
        lambda: trie.neighbours(items[:5], 10),
        lambda: trie.longest_prefix(keys),
        lambda: trie.sample(trie.start(2), 5, seed=0),
        lambda: (~trie.item_set(items)).items(),
        lambda: trie.nbytes,
        lambda: trie.__reduce__(),
        lambda: trie.step(trie.start(2), np.array([0, 1])).dead,
    ]
