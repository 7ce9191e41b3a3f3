"""Signals in every long call of the core: the call ends soon, with the exception of the handler."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from tests.campaign.topics import Alarm, alarm

from sidkit import SidLayout, Trie, assign_codes, ngram_rows
from sidkit._core import (
    Codebooks,
    Perceptron,
    code_ranks,
    kmeans_fit,
    learn_pieces,
    place_codes,
    segment_pieces,
)

#: A call that goes on so many seconds after the signal is counted as late; on a busy machine any call may be.
PATIENCE = 5.0


def run(seconds: float, seed: int) -> dict[str, int]:
    """Send signals at random moments into long calls, in random order, for so many seconds."""
    rng = np.random.default_rng(seed)
    counts = Counter(calls=0, stopped=0, bad_finished=0, latest_ms=0)
    named = calls(rng)
    end = time.monotonic() + seconds
    while True:
        for name in rng.permutation(list(named)):
            interrupt(name, named[name], float(rng.uniform(0.05, 0.5)), counts)
            if time.monotonic() > end:
                return dict(counts)


def interrupt(name: str, call: Callable[[], Any], after: float, counts: Counter[str]) -> None:
    """Send a signal into one call."""
    began = time.monotonic()
    counts["calls"] += 1
    try:
        with alarm(after):
            call()
        counts["bad_finished"] += 1
    except Alarm:
        late = time.monotonic() - began - after
        counts["stopped"] += 1
        counts["latest_ms"] = max(counts["latest_ms"], round(1000 * late))
        if late > PATIENCE:
            counts[f"late_{name}"] += 1


def calls(rng: np.random.Generator) -> dict[str, Callable[[], Any]]:
    """Return long calls by name; each takes many seconds if it is not stopped."""
    layout = SidLayout((256,) * 4)
    keys = layout.pack(rng.integers(0, 256, (1_000_000, 4)).astype(np.uint16))
    trie = Trie.build(keys, layout)
    books = Codebooks(rng.normal(size=(4, 2048, 64)).astype(np.float32))
    x = rng.normal(size=(200_000, 64)).astype(np.float32)
    layer = (rng.normal(size=(1024, 64)).astype(np.float32), np.zeros(1024, np.float32))
    square = (rng.normal(size=(1024, 1024)).astype(np.float32), np.zeros(1024, np.float32))
    network = Perceptron([layer, *[square] * 4])
    tokens = rng.integers(0, 50, 2_000_000).astype(np.uint32)
    merges = np.stack([np.zeros(49, np.uint32), np.arange(1, 50, dtype=np.uint32)], axis=1)
    preferred = rng.integers(0, 5000, (20_000 * 50, 1)).astype(np.uint64)
    costs = rng.random(len(preferred))
    actions = rng.integers(0, 200, (100_000, 4)).astype(np.uint32)
    whole = np.array([0, len(tokens)], np.int64)
    many = np.tile(keys, 4)
    many_keys = many.reshape(-1, 1)
    return {
        "assign_codes": lambda: assign_codes(x, books, beam=8),
        "kmeans_fit": lambda: kmeans_fit(x, 1024, iterations=100),
        "perceptron": lambda: network(x),
        "segment_pieces": lambda: [segment_pieces(tokens, whole, merges, 50) for _ in range(100)],
        "learn_pieces": lambda: learn_pieces(actions, np.arange(0, 100_001, 50, dtype=np.int64), 200, 10_000),
        "place_codes": lambda: place_codes(
            np.zeros((0, 1), np.uint64),
            preferred,
            choices=50,
            capacity=4,
            method="sinkhorn",
            costs=costs,
            iterations=10_000,
        ),
        "code_ranks": lambda: [code_ranks(many_keys) for _ in range(100)],
        "ngram_rows": lambda: [
            ngram_rows(many, layout, kind="all", num_embeddings=10**6) for _ in range(100)
        ],
        "neighbours": lambda: [trie.neighbours(np.arange(500_000), 20) for _ in range(100)],
        "lookup": lambda: [trie.lookup(many) for _ in range(100)],
        "build": lambda: [Trie.build(many, layout) for _ in range(100)],
        "build_compact": lambda: [Trie.build(many, layout, storage="compact") for _ in range(100)],
        "allowed": lambda: [trie.allowed(trie.start(100_000)) for _ in range(100)],
        "items": lambda: [trie.items(trie.start(200)) for _ in range(100)],
        "sample": lambda: [trie.sample(trie.start(1), 10**6, seed=0) for _ in range(100)],
    }
