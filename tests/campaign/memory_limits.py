"""Results larger than the memory: MemoryError or an error of sidkit, and the process lives on."""

import subprocess
import sys
import time
from collections import Counter

import numpy as np
from tests.campaign.topics import ROOT

#: Calls by name, as source text: each asks for more than the limit.
SETUP = """
import resource, sys
import numpy as np
from sidkit import LiveTrie, SidLayout, Trie, assign_codes, ngram_rows
from sidkit._core import Codebooks, Perceptron, assign_details, kmeans_fit, mmr_select, place_codes
from sidkit.errors import InternalError, SidkitError
layout = SidLayout((256, 256))
shared = Trie.build(np.zeros(200_000, np.uint64), layout)
wide = Trie.build(np.arange(65536, dtype=np.uint64), layout)
books = Codebooks(np.zeros((2, 4, 4), np.float32))
layer = (np.zeros((100_000, 4), np.float32), np.zeros(100_000, np.float32))
row, one, pair = np.zeros((1, 256), np.float32), np.zeros(1, np.float32), np.zeros((1, 2), np.float32)
keys = lambda thousands: np.zeros(1000 * thousands, np.uint64)
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
"""
CALLS = {
    "items": "shared.items(shared.start({n}))",
    "items_within": "shared.items(shared.start({n}), allow=shared.item_set(np.arange(200_000)))",
    "lookup": "shared.lookup(np.zeros({n}, np.uint64))",
    "start": "wide.start({n} * 10**6)",
    "beam_step": "wide.beam_step(row, wide.start(1), one, rows_per_group=1, beam={n} * 1000)",
    "top_items": "wide.top_items(wide.start(1), one, rows_per_group=1, k={n} * 10**5)",
    "sample": "wide.sample(wide.start(2), {n} * 10**5, seed=0)",
    "neighbours": "wide.neighbours(np.arange(4), {n} * 10**5)",
    "allowed": "wide.allowed(wide.start({n} * 1000))",
    "bitmask": "wide.bitmask(wide.start({n} * 10**4))",
    "decode": "Codebooks(np.zeros((1, 2, 60_000), np.float32)).decode(np.zeros(({n}, 1), np.uint16))",
    "perceptron": "Perceptron([layer])(np.zeros(({n}, 4), np.float32))",
    "ngram_rows": "ngram_rows(keys({n}), layout, kind=[(0, 1)] * 40, num_embeddings=100)",
    "details": "assign_details(np.zeros(({n}, 4), np.float32), books, alternatives=10**6)",
    "assign": "assign_codes(np.zeros(({n}, 4), np.float32), books, threads=10**9)",
    "kmeans": "kmeans_fit(np.zeros((100, 4), np.float32), 2, batch_size={n} * 10**6)",
    "mmr": "mmr_select(np.zeros((1, 2), np.int32), pair, pair, {n} * 10**6, diversity=.5)",
    "live": "LiveTrie(shared).update(sids=keys({n}), items=np.arange(10**6, 10**6 + {n} * 1000))",
}
ATTEMPT = """
try:
    {call}
    said = "answered"
except InternalError as error:
    said = f"bad_panics {{error}}"
except (MemoryError, SidkitError):
    said = "refused"
print(said, flush=True)
"""


def run(seconds: float, seed: int) -> dict[str, int]:
    """Make the calls in random order, each in a process with 4 GB of address space, for so many seconds."""
    rng = np.random.default_rng(seed)
    counts = Counter(calls=0, refused=0, answered=0, bad_exits=0, bad_panics=0)
    end = time.monotonic() + seconds
    names = rng.permutation(list(CALLS))
    for name in names:
        size = int(10 ** rng.uniform(3.7, 5.5))
        attempt(name, size, counts)
        if time.monotonic() > end:
            break
    return dict(counts)


def attempt(name: str, size: int, counts: Counter[str]) -> None:
    """Make one call in a child process."""
    source = SETUP + ATTEMPT.format(call=CALLS[name].format(n=size))
    child = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, cwd=ROOT, check=False
    )
    counts["calls"] += 1
    if child.returncode:
        counts["bad_exits"] += 1
        print(f"{name}, {size}: exit {child.returncode}\n{child.stderr[-500:]}", file=sys.stderr)
    else:
        counts[child.stdout.split()[0]] += 1
