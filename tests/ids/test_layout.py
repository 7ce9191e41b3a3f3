"""Packing against plain Python integers."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sidkit
from sidkit import SidLayout
from sidkit.errors import ConfigError

sizes_lists = st.lists(st.sampled_from([1, 2, 3, 200, 256, 2048, 65536]), min_size=1, max_size=8)


def random_codes(sizes, rows, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, sizes, (rows, len(sizes))).astype(np.uint16)


def slow_pack(sizes, tokens):
    key = 0
    for size, token in zip(sizes, tokens, strict=True):
        key = (key << (size - 1).bit_length()) | int(token)
    return key


def as_ints(packed):
    return [int(high) << 64 | int(low) for high, low in packed] if packed.ndim == 2 else packed.tolist()


@given(sizes_lists, st.integers(0, 20), st.integers(0, 99))
def test_pack_is_the_definition_and_comes_back(sizes, rows, seed):
    layout = SidLayout(sizes)
    codes = random_codes(sizes, rows, seed)
    packed = layout.pack(codes)
    assert packed.dtype == np.uint64
    assert packed.shape == ((rows,) if layout.total_bits <= 64 else (rows, 2))
    assert as_ints(packed) == [slow_pack(sizes, row) for row in codes]
    np.testing.assert_array_equal(layout.unpack(packed), codes)


@given(sizes_lists, st.integers(0, 99))
def test_prefixes_are_ranges_and_common_lengths_are_counted(sizes, seed):
    layout = SidLayout(sizes)
    codes = np.minimum(random_codes(sizes, 12, seed), 2)
    a, b = codes[:6], codes[6:]
    np.testing.assert_array_equal(
        layout.common_prefix_length(layout.pack(a), layout.pack(b)),
        np.cumprod(a == b, axis=1).sum(axis=1),
    )
    for depth in range(len(sizes) + 1):
        first, last = layout.prefix_range(codes[0, :depth])
        for row, key in zip(codes, as_ints(layout.pack(codes)), strict=True):
            assert (first <= key <= last) == (list(row[:depth]) == list(codes[0, :depth]))
        cut = np.where(np.arange(len(sizes)) < depth, codes, 0).astype(np.uint16)
        np.testing.assert_array_equal(layout.prefix(layout.pack(codes), depth), layout.pack(cut))


def test_a_layout_describes_itself():
    layout = SidLayout([256, 256, 1, 17])
    assert (layout.sizes, layout.bits) == ((256, 256, 1, 17), (8, 8, 0, 5))
    assert (layout.total_bits, layout.words, layout.levels) == (21, 1, 4)
    assert repr(layout) == "SidLayout([256, 256, 1, 17])"
    assert layout == SidLayout(np.array([256, 256, 1, 17])) != SidLayout([256, 256, 17])
    assert len({layout, SidLayout((256, 256, 1, 17))}) == 1
    assert pickle.loads(pickle.dumps(layout)) == layout
    assert sidkit.SidLayout is SidLayout


def test_writing_into_the_callers_arrays():
    for sizes in ([256] * 4, [2048] * 8):
        layout = SidLayout(sizes)
        codes = random_codes(sizes, 5)
        packed = np.empty_like(layout.pack(codes))
        tokens = np.empty_like(codes)
        assert layout.pack(codes, out=packed) is packed
        assert layout.unpack(packed, out=tokens) is tokens
        np.testing.assert_array_equal(tokens, codes)


u16, u64 = np.uint16, np.uint64
WIDE = [65536] * 5
refusals = [
    (lambda: SidLayout([]), ConfigError, "the number of levels is out of range: expected 1 to 128, got 0"),
    (
        lambda: SidLayout([4, -1]),
        ValueError,
        "the size of level 1 is out of range: expected 1 to 65536, got -1",
    ),
    (lambda: SidLayout([65536] * 9), ConfigError, "expected levels of at most 128 bits together, got 144"),
    (
        lambda: SidLayout([4, 4]).pack([[1, 2]]),
        TypeError,
        "`tokens` is invalid: expected a C-contiguous uint16 array of shape (n, levels), got list",
    ),
    (
        lambda: SidLayout([4, 4]).pack(np.zeros((1, 2), np.int64)),
        TypeError,
        "got int64. Convert it with",
    ),
    (
        lambda: SidLayout([4, 4]).pack(np.zeros((1, 3), u16)),
        ValueError,
        "axis 1 of `tokens` has the wrong length: expected 2 to fit the other arguments, got 3",
    ),
    (
        lambda: SidLayout([4, 4]).pack(np.zeros(2, u16)),
        ValueError,
        "expected a C-contiguous uint16 array of shape (n, levels), got shape [2]",
    ),
    (
        lambda: SidLayout([4, 4]).pack(np.zeros((2, 2), u16).T),
        ValueError,
        "Copy it with `numpy.ascontiguousarray`",
    ),
    (
        lambda: SidLayout([4, 3]).pack(np.array([[0, 0], [3, 3]], u16)),
        ValueError,
        "row 1, level 1: the token is out of range: expected less than 3, got 3",
    ),
    (
        lambda: SidLayout([4, 4]).pack(np.zeros((1, 2), u16), out=np.zeros(2, u64)),
        ValueError,
        "axis 0 of `out` has the wrong length: expected 1 to fit the other arguments, got 2",
    ),
    (
        lambda: SidLayout([4, 4]).unpack(np.array([16], u64)),
        ValueError,
        "row 0 does not belong to the layout: expected 4 bits, got more",
    ),
    (
        lambda: SidLayout([4, 4]).unpack(np.zeros((3, 2), u64)),
        ValueError,
        "`packed` has the wrong shape: expected (n,) for SIDs of 4 bits, got [3, 2]",
    ),
    (
        lambda: SidLayout(WIDE).unpack(np.zeros(3, u64)),
        ValueError,
        "expected (n, 2) for SIDs of 80 bits, got [3]",
    ),
    (
        lambda: SidLayout([4, 4]).prefix_range([1, 2, 3]),
        ValueError,
        "the depth is out of range: expected at most 2 levels, got 3",
    ),
    (
        lambda: SidLayout([4, 4]).prefix_range([0, 70000]),
        ValueError,
        "level 1: the token is out of range: expected less than 4, got 70000",
    ),
    (lambda: SidLayout([4, 4]).prefix(np.zeros(1, u64), 3), ValueError, "expected at most 2 levels, got 3"),
    (
        lambda: SidLayout([4]).common_prefix_length(np.zeros(1, u64), np.zeros(2, u64)),
        ValueError,
        "`b` has the wrong length: expected 1 elements for its shape, got 2",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), refusals)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_an_output_that_is_also_the_input_is_refused():
    layout = SidLayout([65536] * 4)
    packed = np.zeros(3, np.uint64)
    with pytest.raises(
        ValueError, match="`out` cannot be written: expected a writable array that no other argument"
    ):
        layout.unpack(packed, out=packed.view(np.uint16).reshape(3, 4))


def test_read_only_arrays_are_read_and_not_written():
    layout = SidLayout([256, 256])
    codes = random_codes(layout.sizes, 3)
    codes.flags.writeable = False
    packed = layout.pack(codes)
    packed.flags.writeable = False
    np.testing.assert_array_equal(layout.unpack(packed), codes)
    with pytest.raises(ValueError, match="`out` cannot be written: expected a writable array"):
        layout.pack(codes, out=packed)
