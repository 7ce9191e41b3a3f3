"""Suffixes of 10^8 codes and a trie of 2·10^8 keys, out of core: time, memory, and the cost of masks.

    python benches/python/out_of_core.py suffixes --rows 100000000 --out benches/record/suffixes.json
    python benches/python/out_of_core.py trie --rows 200000000 --out benches/record/trie-disk.json

Peak memory is that of the process, mapped pages included. Masks of random prefixes are compared with those of
the same file read into memory; both must be equal.
"""

import argparse
import hashlib
import json
import resource
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from sidkit import SidLayout, Trie
from sidkit.evaluate.machine import machine_facts
from sidkit.scale import suffix_ranks
from sidkit.scale.trie import write_trie

BLOCK = 1 << 20
SIZES = [256, 256, 256, 256]


def peak():
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


def blocks(rows, sizes, seed):
    for number, start in enumerate(range(0, rows, BLOCK)):
        rng = np.random.default_rng([seed, number])
        count = min(BLOCK, rows - start)
        yield np.stack([rng.integers(0, size, count, dtype=np.uint16) for size in sizes], axis=1)


def suffixes(options, room):
    sizes, digests, seconds = [256, 256, 256], [], []
    for _ in range(options.rounds):
        start = time.perf_counter()
        with suffix_ranks(blocks(options.rows, sizes, 0), sizes, directory=room) as found:
            seconds.append(round(time.perf_counter() - start, 1))
            digest = hashlib.blake2b(digest_size=16)
            for at in range(0, options.rows, BLOCK):
                digest.update(found.ranks[at : at + BLOCK].tobytes())
            digests.append(digest.hexdigest())
            size = found.size
    assert len(set(digests)) == 1, "two calls differ"
    return {
        "sizes": sizes,
        "collision size": size,
        "seconds": seconds,
        "digest": digests[0],
        "peak GiB": peak(),
    }


def trie(options, room):
    layout = SidLayout(SIZES)
    path = room / "trie.sidx"
    start = time.perf_counter()
    packed = (layout.pack(block) for block in blocks(options.rows, SIZES, 1))
    write_trie(packed, path, layout)
    record = {
        "sizes": SIZES,
        "build seconds": round(time.perf_counter() - start, 1),
        "build peak GiB": peak(),
    }
    record["file GiB"] = round(path.stat().st_size / 2**30, 2)
    start = time.perf_counter()
    mapped = Trie.open(path, mmap=True, trusted=True)
    record["open seconds"] = round(time.perf_counter() - start, 4)
    record["distinct keys"] = len(mapped)
    prefixes = next(blocks(4096, SIZES, 1))
    first = masks(mapped, prefixes)
    record["first masks, microseconds per row"] = first[0]
    times = {"mapped": min(masks(mapped, prefixes)[0] for _ in range(20))}
    memory = Trie.open(path, mmap=False, trusted=True)
    second = masks(memory, prefixes)
    assert np.array_equal(first[1], second[1]), "the masks differ"
    times["in memory"] = min(masks(memory, prefixes)[0] for _ in range(20))
    record["masks, microseconds per row"] = times
    record["mapped over in memory"] = round(times["mapped"] / times["in memory"], 2)
    return record


def masks(index, prefixes):
    """Microseconds per row and masks of all steps after the first two tokens."""
    states = index.start(len(prefixes))
    spent, found = 0.0, []
    for level in range(4):
        start = time.perf_counter()
        allowed = index.allowed(states)
        spent += time.perf_counter() - start
        found.append(allowed)
        states = index.step(states, prefixes[:, level].astype(np.int64))
    return round(spent * 1e6 / len(prefixes) / 4, 4), np.concatenate(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["suffixes", "trie"])
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--room", type=Path, default=None)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    room = Path(tempfile.mkdtemp(dir=options.room))
    try:
        run = suffixes if options.what == "suffixes" else trie
        record = {"machine": machine_facts(), "rows": options.rows, **run(options, room)}
    finally:
        shutil.rmtree(room)
    print(json.dumps(record, indent=2))
    if options.out:
        options.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
