"""n-gram rows against plain Python, and MurmurHash3 against a second implementation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sidkit
from sidkit import SidLayout, ngram_rows
from sidkit.ids import ngram_windows

MASK = (1 << 64) - 1


def mix64(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def slow_rows(sizes, windows, rows, seed, tokens):
    """The rows of one SID in mode "mix", straight from the documentation."""
    spaces = [int(np.prod([1, *sizes[a : a + n]], dtype=object)) for a, n in windows]
    left, own = rows, set()
    for taken, i in enumerate(sorted(range(len(windows)), key=lambda i: spaces[i])):
        if spaces[i] > left // (len(windows) - taken):
            break
        left -= spaces[i]
        own.add(i)
    result, first = [], 0
    for i, (start, length) in enumerate(windows):
        number = bits = width = 0
        for size, token in list(zip(sizes, tokens, strict=True))[start : start + length]:
            number = number * size + int(token)
            bits = bits << (size - 1).bit_length() | int(token)
            width += (size - 1).bit_length()
        if i in own:
            result.append(first + number)
            first += spaces[i]
            continue
        salt = mix64((mix64(seed) + 256 * start + length) & MASK)
        high, low = bits >> 64, bits & MASK
        hashed = mix64(low ^ salt) if width <= 64 else mix64(mix64(high ^ salt) ^ low)
        result.append(rows - left + (hashed * left >> 64))
    return result


def random_codes(sizes, rows, seed=0):
    return np.random.default_rng(seed).integers(0, sizes, (rows, len(sizes))).astype(np.uint16)


@given(
    st.lists(st.sampled_from([1, 3, 256, 2048, 65536]), min_size=1, max_size=8),
    st.data(),
    st.integers(1, 1 << 40) | st.integers(1, 5000),
    st.integers(0, MASK),
)
def test_rows_are_the_definition(sizes, data, rows, seed):
    layout = SidLayout(sizes)
    kind = data.draw(st.sampled_from(["all", "prefix", *[f"{n}gram" for n in range(1, len(sizes) + 1)]]))
    codes = random_codes(sizes, 3, seed)
    windows = ngram_windows(layout, kind)
    got = ngram_rows(layout.pack(codes), layout, kind=kind, num_embeddings=rows, seed=seed)
    assert (got.dtype, got.shape) == (np.int64, (3, len(windows)))
    assert got.tolist() == [slow_rows(sizes, windows, rows, seed, row) for row in codes]
    again = ngram_rows(layout.pack(codes), layout, kind=windows, num_embeddings=rows, seed=seed)
    np.testing.assert_array_equal(again, got)


@given(st.sampled_from([[256] * 4, [2048] * 8, [7, 100, 3]]), st.integers(1, 100_000), st.integers(0, 99))
def test_prefix_rows_nest(sizes, rows, seed):
    """Two items share the row of a prefix if they share the prefix, whatever else they hold."""
    layout = SidLayout(sizes)
    codes = random_codes(sizes, 2, seed)
    for depth in range(1, len(sizes) + 1):
        codes[1, :depth] = codes[0, :depth]
        a, b = ngram_rows(layout.pack(codes), layout, kind="prefix", num_embeddings=rows)
        np.testing.assert_array_equal(a[:depth], b[:depth])


def test_the_windows_of_each_kind():
    layout = SidLayout([256] * 3)
    assert ngram_windows(layout, "unigram") == [(0, 1), (1, 1), (2, 1)]
    assert ngram_windows(layout, "bigram") == [(0, 2), (1, 2)]
    assert ngram_windows(layout, "trigram") == [(0, 3)]
    assert ngram_windows(layout, "prefix") == [(0, 1), (0, 2), (0, 3)]
    assert ngram_windows(layout, "all") == [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (0, 3)]


@pytest.mark.parametrize("sizes", [[256] * 4, [2048] * 8, [100, 7, 300]])
@pytest.mark.parametrize("mode", ["mix", "modulo", "murmur3"])
def test_any_split_of_the_batch_gives_the_same(sizes, mode):
    layout = SidLayout(sizes)
    packed = layout.pack(random_codes(sizes, 50))
    options = {"kind": "all", "num_embeddings": 12345, "seed": 9, "mode": mode}
    whole = ngram_rows(packed, layout, **options)
    out = np.empty_like(whole)
    for begin, end in [(0, 0), (0, 1), (1, 20), (20, 50)]:
        assert ngram_rows(packed[begin:end], layout, **options, out=out[begin:end]).base is not None
    np.testing.assert_array_equal(out, whole)


def test_any_number_of_threads_gives_the_same():
    layout = SidLayout([256] * 4)
    packed = layout.pack(random_codes(layout.sizes, 100_000))
    one, *more = (
        ngram_rows(packed, layout, kind="prefix", num_embeddings=10**6, threads=n) for n in (1, 2, 3, None)
    )
    for other in more:
        np.testing.assert_array_equal(other, one)


def test_modulo_is_the_shifted_mixed_radix_number():
    layout = SidLayout([100, 7, 300])
    codes = random_codes(layout.sizes, 20)
    got = ngram_rows(layout.pack(codes), layout, kind="bigram", num_embeddings=50, mode="modulo")
    a, b, c = codes.astype(np.int64).T
    np.testing.assert_array_equal(got, np.stack([(a * 7 + b) % 50, (b * 300 + c + 700) % 50], axis=1))


def test_murmur3_is_that_of_mmh3():
    mmh3 = pytest.importorskip("mmh3", reason="the second implementation of MurmurHash3 is not installed")
    layout = SidLayout([2048] * 8)
    codes = random_codes(layout.sizes, 20)
    windows = [(0, 3), (0, 8)]
    got = ngram_rows(layout.pack(codes), layout, kind=windows, num_embeddings=10**6, seed=5, mode="murmur3")
    for row, tokens in zip(got, codes, strict=True):
        for place, (start, length) in enumerate(windows):
            key = int("".join(f"{token:011b}" for token in tokens[start : start + length]), 2)
            key = key.to_bytes(8 if length * 11 <= 64 else 16, "little")
            assert row[place] == mmh3.hash64(key, 5 + place, signed=False)[0] % 10**6


def test_golden_rows():
    """These never change: tables are trained with them."""
    narrow, wide = SidLayout([256] * 4), SidLayout([2048] * 8)
    a = narrow.pack(np.array([[12, 200, 7, 0]], np.uint16))
    b = wide.pack(np.array([[1, 2, 3, 4, 5, 6, 7, 2047]], np.uint16))
    got = ngram_rows(a, narrow, kind="prefix", num_embeddings=10**6, seed=7)
    assert got.tolist() == [[12, 3528, 308618, 826260]]
    got = ngram_rows(b, wide, kind=[(2, 4), (0, 8)], num_embeddings=50_000_000, seed=7)
    assert got.tolist() == [[32676966, 41455661]]


LAYOUT = SidLayout([4, 4])
ONE = np.zeros(1, np.uint64)
refusals = [
    ({"kind": "many"}, ValueError, "the kind of n-gram is unknown: expected `unigram`, `bigram`"),
    ({"kind": "trigram"}, ValueError, "the depth is out of range: expected at most 2 levels, got 3"),
    (
        {"kind": [(1, 2)]},
        ValueError,
        "a window is out of range: expected one or more of 2 levels, got 2 from level 1",
    ),
    ({"kind": []}, ValueError, "there are no n-grams: expected at least one window"),
    (
        {"kind": 2},
        TypeError,
        '`kind` is invalid: expected a name such as "bigram" or a list of windows (start, length), got 2',
    ),
    ({"num_embeddings": 0}, ValueError, "`num_embeddings` is out of range: expected 1 to 2^63 - 1, got 0"),
    ({"num_embeddings": -5}, ValueError, "`num_embeddings` is out of range: expected 1 to 2^63 - 1, got -5"),
    (
        {"num_embeddings": 2**70},
        ValueError,
        f"`num_embeddings` is out of range: expected 1 to 2^63 - 1, got {2**70}",
    ),
    ({"mode": "md5"}, ValueError, '`mode` is unknown: expected "mix", "modulo" or "murmur3", got "md5"'),
    (
        {"out": np.zeros((1, 3), np.int64)},
        ValueError,
        "axis 1 of `out` has the wrong length: expected 1 to fit the other arguments, got 3",
    ),
    (
        {"out": np.zeros((1, 1), np.int32)},
        TypeError,
        "`out` is invalid: expected a C-contiguous int64 array of shape (n, grams), got int32",
    ),
    (
        {"threads": 0},
        ValueError,
        "`threads` is out of range: expected at least 1, or None for all cores, got 0",
    ),
    (
        {"threads": -2},
        ValueError,
        "`threads` is out of range: expected at least 1, or None for all cores, got -2",
    ),
    (
        {"threads": 2**80},
        ValueError,
        f"`threads` is out of range: expected at least 1, or None for all cores, got {2**80}",
    ),
    (
        {"packed": np.array([16], np.uint64)},
        ValueError,
        "row 0 does not belong to the layout: expected 4 bits, got more",
    ),
    (
        {"packed": np.zeros((1, 2), np.uint64)},
        ValueError,
        "`packed` has the wrong shape: expected (n,) for SIDs of 4 bits, got [1, 2]",
    ),
]


@pytest.mark.parametrize(("change", "error", "message"), refusals)
def test_what_does_not_fit_is_refused(change, error, message):
    arguments = {"packed": ONE, "layout": LAYOUT, "kind": "bigram", "num_embeddings": 10, **change}
    with pytest.raises(error) as caught:
        ngram_rows(**arguments)
    assert message in str(caught.value)


def test_the_names_are_in_the_front_room():
    assert sidkit.ngram_rows is ngram_rows
