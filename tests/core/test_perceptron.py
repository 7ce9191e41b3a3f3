"""Perceptrons of the core: every kernel alike, near what float64 gives, and hostile input refused."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit import _core
from sidkit.tokenizers.parts.perceptron import Perceptron

KERNELS = ("vnni", "avx512", "avx2", "neon", "portable")


def layers_of(widths, seed=0):
    rng = np.random.default_rng(seed)
    return [
        (
            (rng.normal(size=(out, into)) / into**0.5).astype(np.float32),
            rng.normal(size=out).astype(np.float32),
        )
        for into, out in pairwise(widths)
    ]


def in_float64(layers, x):
    for number, (weight, bias) in enumerate(layers):
        x = np.maximum(x, 0) if number else x
        x = x.astype(np.float64) @ weight.T.astype(np.float64) + bias
    return x


def kernels(layers):
    for name in KERNELS:
        try:
            yield _core.Perceptron(layers, kernel=name)
        except ValueError as error:
            assert "this CPU" in str(error), error


@given(
    widths=st.lists(st.integers(1, 80), min_size=2, max_size=4),
    rows=st.integers(0, 40),
    threads=st.sampled_from([None, 1, 2]),
    seed=st.integers(0, 1000),
)
def test_kernels_agree_and_are_near_float64(widths, rows, threads, seed):
    layers = layers_of(widths, seed)
    x = np.random.default_rng(seed + 1).normal(size=(rows, widths[0])).astype(np.float32)
    found = [perceptron(x, threads=threads) for perceptron in kernels(layers)]
    assert found and all(one.dtype == np.float32 for one in found)
    np.testing.assert_allclose(found[0], in_float64(layers, x), atol=1e-4)
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_rows_come_in_any_format_and_order():
    perceptron = _core.Perceptron(layers_of([40, 33, 5]))
    x = np.random.default_rng(0).normal(size=(50, 40)).astype(np.float16)
    wanted = perceptron(x.astype(np.float32))
    np.testing.assert_array_equal(perceptron(x), wanted)
    np.testing.assert_array_equal(perceptron(x.astype(np.float64)), wanted)
    np.testing.assert_array_equal(perceptron(np.asfortranarray(x)), wanted)
    np.testing.assert_array_equal(perceptron(x[::-3]), wanted[::-3])


def test_copies_compute_the_same():
    perceptron = Perceptron(layers_of([6, 4]))
    x = np.ones((3, 6), np.float32)
    for other in (pickle.loads(pickle.dumps(perceptron)), copy.deepcopy(perceptron)):
        np.testing.assert_array_equal(other(x), perceptron(x))


def test_hostile_input_is_refused():
    weight, bias = layers_of([3, 2])[0]
    with pytest.raises(ValueError, match="`layers` is out of range: expected at least 1, got 0"):
        _core.Perceptron([])
    with pytest.raises(TypeError, match="float32"):
        _core.Perceptron([(weight.astype(np.float64), bias)])
    with pytest.raises(
        ValueError,
        match=r"axis 1 of `layers\[1\]\[0\]` has the wrong length: expected 2 to fit .*, got 3",
    ):
        _core.Perceptron([(weight, bias), (weight, bias)])
    with pytest.raises(
        ValueError, match="`bias` has the wrong length: expected 2 elements for its shape, got 1"
    ):
        _core.Perceptron([(weight, bias[:1])])
    with pytest.raises(ValueError, match="`width` is out of range: expected at least 1, got 0"):
        _core.Perceptron([(np.zeros((2, 0), np.float32), bias)])
    with pytest.raises(ValueError, match="weight"):
        _core.Perceptron([(np.full_like(weight, np.nan), bias)])
    with pytest.raises(ValueError, match=r'`kernel` is unknown: .* got "sse"'):
        _core.Perceptron([(weight, bias)], kernel="sse")
    perceptron = _core.Perceptron([(weight, bias)])
    assert perceptron(np.zeros((0, 3), np.float32)).shape == (0, 2)
    with pytest.raises(
        ValueError, match="axis 1 of `x` has the wrong length: expected 3 to fit the other arguments, got 2"
    ):
        perceptron(np.zeros((4, 2), np.float32))
    with pytest.raises(ValueError, match="row 1"):
        perceptron(np.array([[0, 0, 0], [0, np.nan, 0]], np.float32))
    with pytest.raises(TypeError, match="int64"):
        perceptron(np.zeros((4, 3), np.int64))
    with pytest.raises((ValueError, OverflowError)):
        perceptron(np.zeros((4, 3), np.float32), threads=-1)
