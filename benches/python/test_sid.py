"""Packing against NumPy's shifts, and n-gram rows against NumPy, torch, mmh3, xxhash and FeatureHasher.

One million Semantic IDs of 8 levels of 256 codes, 7 bigrams each, hashed onto 10,000 rows. The rivals per
key and FeatureHasher get a hundredth of them. Every result is checked before it is timed; other hashes
cannot give the same rows, so of them the shape and the range are checked.
"""

import numpy as np
import pytest
import torch

from sidkit import SidLayout, ngram_rows

LAYOUT = SidLayout([256] * 8)
COUNT, ROWS = 1_000_000, 10_000
CODES = np.random.default_rng(0).integers(0, 256, (COUNT, 8)).astype(np.uint16)
PACKED = LAYOUT.pack(CODES)
SHIFTS = np.arange(56, -1, -8, dtype=np.uint64)
C1, C2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
OUT = np.empty((COUNT, 7), np.int64)


def numpy_pack():
    packed = np.zeros(COUNT, np.uint64)
    for level, shift in enumerate(SHIFTS):
        packed |= CODES[:, level].astype(np.uint64) << shift
    return packed


def numpy_unpack():
    return ((PACKED[:, None] >> SHIFTS) & np.uint64(255)).astype(np.uint16)


def bigrams():
    return ((CODES[:, :-1].astype(np.uint64) << np.uint64(8)) | CODES[:, 1:]) + (
        np.arange(7, dtype=np.uint64) << np.uint64(16)
    )


def numpy_rows():
    x = bigrams()
    x = (x ^ (x >> np.uint64(30))) * C1
    x = (x ^ (x >> np.uint64(27))) * C2
    return ((x ^ (x >> np.uint64(31))) % np.uint64(ROWS)).astype(np.int64)


def torch_rows():
    codes = TORCH_CODES
    x = ((codes[:, :-1] << 8) | codes[:, 1:]) + (torch.arange(7) << 16)
    x = (x ^ (x >> 30)) * C1.astype(np.int64).item()
    x = (x ^ (x >> 27)) * C2.astype(np.int64).item()
    return ((x ^ (x >> 31)) % ROWS).numpy()


TORCH_CODES = torch.from_numpy(CODES.astype(np.int64))


def note(benchmark, units, of):
    seconds = benchmark.stats.stats.median if benchmark.stats else float("nan")
    benchmark.extra_info[f"ns per {of}"] = round(seconds / units * 1e9, 3)
    benchmark.extra_info["correct"] = True


@pytest.mark.benchmark(group="pack 8 levels")
@pytest.mark.parametrize("who", ["sidkit", "numpy"])
def test_pack(benchmark, who):
    run = {"sidkit": lambda: LAYOUT.pack(CODES), "numpy": numpy_pack}[who]
    np.testing.assert_array_equal(run(), PACKED)
    benchmark(run)
    note(benchmark, COUNT, "SID")


@pytest.mark.benchmark(group="unpack 8 levels")
@pytest.mark.parametrize("who", ["sidkit", "numpy"])
def test_unpack(benchmark, who):
    run = {"sidkit": lambda: LAYOUT.unpack(PACKED), "numpy": numpy_unpack}[who]
    np.testing.assert_array_equal(run(), CODES)
    benchmark(run)
    note(benchmark, COUNT, "SID")


@pytest.mark.benchmark(group="bigram rows")
@pytest.mark.parametrize("who", ["sidkit", "numpy", "torch"])
def test_rows(benchmark, who):
    ours = lambda: ngram_rows(PACKED, LAYOUT, kind="bigram", num_embeddings=ROWS, out=OUT, threads=1)  # noqa: E731
    torch.set_num_threads(1)
    run = {"sidkit": ours, "numpy": numpy_rows, "torch": torch_rows}[who]
    rows = run()
    assert rows.shape == (COUNT, 7) and rows.min() >= 0 and rows.max() == ROWS - 1
    benchmark(run)
    note(benchmark, rows.size, "n-gram")


@pytest.mark.benchmark(group="bigram rows, a key at a time")
@pytest.mark.parametrize("who", ["mmh3", "xxhash", "FeatureHasher"])
def test_rows_by_key(benchmark, who):
    keys = bigrams()[: COUNT // 100]
    if who == "FeatureHasher":
        hashing = pytest.importorskip("sklearn.feature_extraction")
        hasher = hashing.FeatureHasher(ROWS, input_type="string", alternate_sign=False)
        texts = [[str(key) for key in row] for row in keys.tolist()]
        run = lambda: hasher.transform(texts)  # noqa: E731
        assert run().shape == (len(keys), ROWS)
    else:
        library = pytest.importorskip(who)
        hashed = (
            (lambda key: library.hash64(key, 0, False)[0]) if who == "mmh3" else library.xxh3_64_intdigest
        )
        data = [key.to_bytes(8, "little") for key in keys.ravel().tolist()]
        run = lambda: [hashed(key) % ROWS for key in data]  # noqa: E731
        assert min(run()) >= 0 and max(run()) == ROWS - 1
    benchmark(run)
    note(benchmark, keys.size, "n-gram")
