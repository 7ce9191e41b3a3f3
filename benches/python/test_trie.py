"""The trie against a trie of dicts, marisa-trie, STATIC's layout in torch, and `rectokens`.

Random Semantic IDs. Every answer is compared with ours before it is timed; a rival that is not installed is
skipped. All sizes can be cut for a check: `SIDKIT_BENCH_SIDS=100000` caps every catalogue, and
`SIDKIT_BENCH_LARGE=1` adds 10⁸ Semantic IDs to the masks (about 6 GB).
"""

import gc
import math
import os
import random
from functools import cache

import numpy as np
import pytest
import torch

from sidkit import SidLayout, Trie
from sidkit.decode import to_static

CAP = int(os.environ.get("SIDKIT_BENCH_SIDS", 10**9))
MILLION, TEN_MILLION = min(10**6, CAP), min(10**7, CAP)
NARROW, WIDE = (256,) * 4, (2048,) * 8
ROWS = [140, 3200]
DEPTH = 2


def random_codes(sizes, count, seed=0) -> np.ndarray:
    """Unsorted codes uint16 (count, levels); in so large a space a few repeat."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, sizes[0], (count, len(sizes)), dtype=np.uint16)


@cache
def world(sizes, count, storage="fast"):
    layout = SidLayout(list(sizes))
    codes = random_codes(sizes, count)
    return codes, Trie.build(layout.pack(codes), layout, storage=storage)


@pytest.fixture(autouse=True)
def forget():
    """Ten million Semantic IDs at a time are enough."""
    yield
    if world.cache_info().currsize > 2:
        world.cache_clear()
        gc.collect()


def dict_trie(codes) -> dict:
    root: dict = {}
    for row in codes.tolist():
        node = root
        for code in row[:-1]:
            node = node.setdefault(code, {})
        node[row[-1]] = None
    return root


class Masks:
    """The states that a mask is asked for, and the ways to it; all answers make bool (rows, 256)."""

    def __init__(self, rows, count=MILLION):
        self.codebook_size, self.trie = world(NARROW, count)
        picked = np.random.default_rng(1).integers(0, len(self.codebook_size), rows)
        self.prefixes = self.codebook_size[picked, :DEPTH]
        self.states = self.trie.find(self.trie.layout.pack(self.codebook_size[picked]), DEPTH)
        self.expected = self.trie.allowed(self.states)
        self.logits = torch.zeros(rows, 256)

    def sidkit_bitmask(self):
        out = np.empty((len(self.prefixes), 8), np.int32)
        return lambda: self.trie.bitmask(self.states, out)

    def sidkit_allowed(self):
        out = np.empty((len(self.prefixes), 256), np.bool_)
        return lambda: self.trie.allowed(self.states, out)

    def sidkit_logits(self):
        buffer = self.logits.numpy()
        return lambda: self.trie.mask_logits(self.states, buffer)

    def sidkit_tensors(self):
        tensors = self.trie.to_torch()
        nodes = tensors.start(len(self.prefixes))
        for level in range(DEPTH):
            nodes = tensors.step(nodes, level, torch.from_numpy(self.prefixes[:, level].astype(np.int64)))
        return lambda: tensors.allowed(nodes, DEPTH)

    def dict_walk(self):
        root, prefixes = dict_trie(self.codebook_size), self.prefixes.tolist()

        def run():
            lists = []
            for prefix in prefixes:
                node = root
                for code in prefix:
                    node = node[code]
                lists.append(list(node))
            return lists

        return run

    def dict_scatter(self):
        """The way of `PrefixConstrainedLogitsProcessor`: a callback and a scatter for each row."""
        root, prefixes, logits = (
            dict_trie(self.codebook_size),
            torch.from_numpy(self.prefixes.astype(np.int64)),
            self.logits,
        )

        def run():
            mask = torch.full_like(logits, -math.inf)
            for row in range(len(prefixes)):
                node = root
                for code in prefixes[row].tolist():
                    node = node[code]
                mask[row, list(node)] = 0
            return logits + mask

        return run

    def marisa(self):
        """A character a token, as in GENRE: what follows is read off all keys under the prefix."""
        marisa_trie = pytest.importorskip("marisa_trie")
        trie = marisa_trie.Trie("".join(map(chr, row)) for row in self.codebook_size.tolist())
        prefixes = ["".join(map(chr, row)) for row in self.prefixes.tolist()]
        return lambda: [list({ord(key[DEPTH]) for key in trie.iterkeys(prefix)}) for prefix in prefixes]

    def static(self):
        """Gather as many transitions as the fullest state has, and mark those that exist."""
        index = to_static(self.trie)
        pairs = torch.from_numpy(self.prefixes.astype(np.int64))
        states = index.dense_states[pairs[:, 0], pairs[:, 1]].long()
        offsets = torch.arange(index.layer_max_branches[DEPTH])
        last = len(index.packed_csr) - 1

        def run():
            starts = index.indptr[states].long()
            lengths = index.indptr[states + 1] - starts
            rows = index.packed_csr[(starts[:, None] + offsets).clamp(max=last)]
            tokens = torch.where(offsets < lengths[:, None], rows[..., 0].long(), 256)
            return torch.zeros(len(states), 257, dtype=torch.bool).scatter_(1, tokens, True)[:, :256]

        return run

    def rectokens(self):
        schema = pytest.importorskip("rectokens.schemas.compact_csr_trie")
        kernel = pytest.importorskip("rectokens.decoding.vntk")
        tokens = torch.from_numpy(self.trie.layout.unpack(sorted_sids(self.trie)).astype(np.int64))
        try:
            index = schema.CompactCSRTrie.from_sorted_batch(tokens, 256)
            pairs = torch.from_numpy(self.prefixes.astype(np.int64))
            nodes = index.dense_states[pairs[:, 0], pairs[:, 1]]
            kernel.vtnk_pytorch(self.logits, nodes, index, DEPTH)
        except (AttributeError, TypeError, IndexError, RuntimeError) as error:
            pytest.skip(f"rectokens does not run here: {error}")
        return lambda: kernel.vtnk_pytorch(self.logits, nodes, index, DEPTH)[2]


def sorted_sids(trie) -> np.ndarray:
    items, _ = trie.items(trie.start(1))
    return np.unique(trie.sids(items.astype(np.int64)), axis=0)


def as_mask(answer) -> np.ndarray:
    """Any of the answers as bool (rows, 256)."""
    if isinstance(answer, list):
        mask = np.zeros((len(answer), 256), np.bool_)
        for row, codes in enumerate(answer):
            mask[row, codes] = True
        return mask
    array = np.asarray(answer)
    if array.dtype == np.int32:
        return np.unpackbits(array.view(np.uint8), axis=1, bitorder="little").astype(np.bool_)
    return array if array.dtype == np.bool_ else np.isfinite(array)


WAYS = [
    "sidkit_bitmask",
    "sidkit_allowed",
    "sidkit_logits",
    "sidkit_tensors",
    "dict_walk",
    "dict_scatter",
    "marisa",
    "static",
    "rectokens",
]


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("way", WAYS)
def test_mask(benchmark, way, rows):
    masks = Masks(rows)
    run = getattr(masks, way)()
    np.testing.assert_array_equal(as_mask(run()), masks.expected)
    benchmark.group = f"mask of {rows} states at depth 2, {MILLION:,} SIDs of 4 x 256"
    benchmark(run)
    benchmark.extra_info["correct"] = True
    if benchmark.stats:
        benchmark.extra_info["ns per state"] = round(benchmark.stats.stats.median / rows * 1e9, 1)


LARGE = [10**8] if os.environ.get("SIDKIT_BENCH_LARGE") else []


@pytest.mark.parametrize("count", [10**4, 10**5, 10**6, 10**7, *LARGE])
def test_mask_by_catalogue(benchmark, count):
    masks = Masks(3200, min(count, CAP))
    rows = random.Random(0).sample(range(3200), 50)
    for row in rows:  # against every code of the catalogue that continues the prefix
        same = (masks.codes[:, :DEPTH] == masks.prefixes[row]).all(axis=1)
        expected = np.unique(masks.codes[same, DEPTH])
        np.testing.assert_array_equal(np.flatnonzero(masks.expected[row]), expected)
    run = masks.sidkit_bitmask()
    np.testing.assert_array_equal(as_mask(run()), masks.expected)
    benchmark.group = "bitmask of 3,200 states at depth 2 by catalogue"
    benchmark.extra_info["correct"] = True
    benchmark(run)


def bound(sizes, count) -> float:
    """The least bytes a SID: log2 of the number of sets of `count` SIDs, by Stirling's formula."""
    space = math.prod(sizes)
    bits = math.lgamma(space + 1) - math.lgamma(count + 1) - math.lgamma(space - count + 1)
    if space > 2**53:  # lgamma loses the difference; the first terms of its series do not
        bits = count * (math.log(space / count) + 1) - 0.5 * math.log(2 * math.pi * count)
    return bits / math.log(2) / 8 / count


CATALOGUES = [(NARROW, MILLION), (NARROW, TEN_MILLION), (WIDE, TEN_MILLION)]


@pytest.mark.parametrize(("sizes", "count"), CATALOGUES)
@pytest.mark.parametrize("who", ["fast", "compact", "to_torch", "static", "marisa"])
def test_bytes_per_sid(benchmark, who, sizes, count):
    """The size is in `extra_info`; only a lookup of one hot SID is timed."""
    codes, trie = world(sizes, count, "compact" if who == "compact" else "fast")
    benchmark.group = f"bytes a SID, {count:,} of {len(sizes)} x {sizes[0]}"
    if who == "to_torch":
        size = trie.to_torch().nbytes
    elif who == "static":
        size = to_static(trie).nbytes
    elif who == "marisa":
        marisa_trie = pytest.importorskip("marisa_trie")
        width = 1 if sizes[0] <= 256 else 2
        keys = codes.astype(">u2").tobytes() if width == 2 else codes.astype(np.uint8).tobytes()
        length = width * len(sizes)
        rival = marisa_trie.BinaryTrie(keys[at : at + length] for at in range(0, len(keys), length))
        assert len(rival) == len(trie)
        size = len(rival.tobytes())
    else:
        size = trie.nbytes
    per_sid, least = size / len(trie), bound(sizes, len(trie))
    assert per_sid >= least
    benchmark.extra_info |= {
        "SIDs": len(trie),
        "bytes per SID": round(per_sid, 3),
        "bound": round(least, 3),
        "correct": True,
    }
    one = trie.layout.pack(codes[:1])
    benchmark(lambda: trie.lookup(one))


@pytest.mark.parametrize("count", [MILLION, TEN_MILLION])
@pytest.mark.parametrize("storage", ["fast", "compact"])
def test_build_from_unsorted_codes(benchmark, storage, count):
    layout, codes = SidLayout(list(NARROW)), random_codes(NARROW, count)

    def run():
        return Trie.build(layout.pack(codes), layout, storage=storage)

    np.testing.assert_array_equal(sorted_sids(run()), np.unique(layout.pack(codes)))
    benchmark.group = f"build from {count:,} unsorted codes of 4 x 256"
    benchmark.extra_info["correct"] = True
    benchmark.pedantic(run, rounds=3)


@pytest.mark.parametrize("batch", [1, 100_000])
@pytest.mark.parametrize("who", ["fast", "compact", "dict"])
def test_exact_lookup(benchmark, who, batch):
    codes, trie = world(NARROW, TEN_MILLION, "compact" if who == "compact" else "fast")
    packed = trie.layout.pack(codes)
    picked = np.random.default_rng(2).integers(0, len(codes), batch)
    asked = packed[picked]
    values, offsets = trie.lookup(asked)
    sample = picked[:1000]
    for row, item in enumerate(sample.tolist()):
        assert item in values[offsets[row] : offsets[row + 1]]
    if who == "dict":
        # A dict of ten million integers takes a gigabyte; a hundredth of it is looked up as fast or faster.
        table = dict(zip(packed[: len(packed) // 100].tolist(), range(len(packed) // 100), strict=True))
        keys = packed[picked % (len(packed) // 100)].tolist()
        assert all(key in table for key in keys[:1000])

        def run():
            return [table[key] for key in keys]
    else:
        streams = [packed[np.random.default_rng(seed).integers(0, len(codes), batch)] for seed in range(64)]
        turn = iter(range(10**12))

        def run():
            return trie.lookup(streams[next(turn) % 64])

    benchmark.group = f"exact lookup of {batch:,} of {TEN_MILLION:,} SIDs"
    benchmark.extra_info["correct"] = True
    benchmark(run)
    if benchmark.stats:
        benchmark.extra_info["ns per SID"] = round(benchmark.stats.stats.median / batch * 1e9, 1)


@pytest.mark.parametrize("how", ["mmap, trusted", "read, trusted", "read, checked"])
def test_open(benchmark, how, tmp_path):
    codes, trie = world(NARROW, TEN_MILLION)
    path = tmp_path / "index.sidx"
    trie.save(path)

    def run():
        return Trie.open(path, mmap="mmap" in how, trusted="trusted" in how)

    asked = trie.layout.pack(codes[:1000])
    for ours, theirs in zip(run().lookup(asked), trie.lookup(asked), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    benchmark.group = f"open {TEN_MILLION:,} SIDs of 4 x 256"
    benchmark.extra_info["correct"] = True
    benchmark.pedantic(run, rounds=5)
