"""Beams, alternatives, errors, number formats and kernels of assignment, each against plain computations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sidkit import assign_codes
from sidkit._core import Codebooks, assign_details
from sidkit.errors import ConfigError

numbers = st.one_of(st.floats(-1, 1, width=32), st.integers(-2, 2).map(float))


def distances(residual, words):
    squares = (residual.astype(np.float64) - words.astype(np.float64)) ** 2
    # `cumsum` adds strictly in index order, which `sum` does not.
    return squares.cumsum(axis=1)[:, -1]


def beam_oracle(row, codebooks, beam):
    """Keep the `beam` best extensions of all prefixes; ties to the better prefix, then to the lower code."""
    prefixes = [((), row)]
    for words in codebooks:
        extensions = sorted(
            (distance, place, code)
            for place, (_, residual) in enumerate(prefixes)
            for code, distance in enumerate(distances(residual, words))
        )
        prefixes = [
            ((*prefixes[place][0], code), prefixes[place][1] - words[code])
            for _, place, code in extensions[:beam]
        ]
    return prefixes[0]


def random_problem(seed=0, n=300, dim=20, sizes=(40, 33, 70)):
    rng = np.random.default_rng(seed)
    codebooks = [rng.normal(size=(size, dim)).astype(np.float32) for size in sizes]
    return rng.normal(size=(n, dim)).astype(np.float32), codebooks


def kernels():
    found = []
    for name in ["vnni", "avx512", "avx2", "neon", "portable"]:
        try:
            found.append(Codebooks(np.zeros((1, 1, 1), np.float32), kernel=name).kernel)
        except ValueError as error:
            assert "this CPU cannot run kernel" in str(error)
    return found


@settings(deadline=None)
@given(
    data=st.data(),
    dim=st.integers(1, 7),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    beam=st.integers(2, 64),
)
def test_beam_is_that_of_the_definition(data, dim, sizes, beam):
    codebooks = [data.draw(hnp.arrays(np.float32, (size, dim), elements=numbers)) for size in sizes]
    x = data.draw(hnp.arrays(np.float32, (data.draw(st.integers(0, 5)), dim), elements=numbers))
    expected = [beam_oracle(row, codebooks, beam) for row in x]
    details = assign_details(x, codebooks, beam=beam)
    np.testing.assert_array_equal(
        details.codes, np.array([codes for codes, _ in expected]).reshape(len(x), len(sizes))
    )
    np.testing.assert_array_equal(assign_codes(x, codebooks, beam=beam), details.codes)
    zero = np.zeros((1, dim), np.float32)
    np.testing.assert_array_equal(details.errors, [distances(rest, zero)[0] for _, rest in expected])


@pytest.mark.parametrize("beam", [1, 2, 5, 64])
@pytest.mark.parametrize("kernel", kernels())
def test_every_kernel_gives_the_same_beam(kernel, beam):
    x, codebooks = random_problem(n=120)
    expected = [beam_oracle(row, codebooks, beam)[0] for row in x]
    for threads in [1, 3]:
        codes = assign_codes(x, Codebooks(codebooks, kernel=kernel), beam=beam, threads=threads)
        np.testing.assert_array_equal(codes, expected)


def test_a_wider_beam_is_rarely_worse():
    x, codebooks = random_problem()
    errors = [assign_details(x, codebooks, beam=beam).errors.mean() for beam in [1, 4, 16]]
    assert errors[2] < errors[1] < errors[0]


@pytest.mark.parametrize("kernel", kernels())
@pytest.mark.parametrize("alternatives", [1, 3, 40])
def test_alternatives_are_the_nearest_codes(kernel, alternatives):
    x, codebooks = random_problem(n=60)
    # Ties, too: every codeword of the first level is there twice.
    codebooks[0] = np.concatenate([codebooks[0][:20]] * 2)
    details = assign_details(x, Codebooks(codebooks, kernel=kernel), alternatives=alternatives)
    for row in range(len(x)):
        residual = x[row]
        for level, words in enumerate(codebooks):
            every = distances(residual, words)
            order = np.argsort(every, kind="stable")[:alternatives]
            shown = len(order)
            np.testing.assert_array_equal(details.nearest[row, level, :shown], order)
            np.testing.assert_array_equal(details.distances[row, level, :shown], every[order])
            assert (details.nearest[row, level, shown:] == order[-1]).all()
            residual = residual - words[order[0]]
    np.testing.assert_array_equal(details.codes, assign_codes(x, codebooks))
    assert details.nearest.dtype == details.codes.dtype == np.uint16


def test_looks_are_counted():
    x, codebooks = random_problem()
    details = assign_details(x, codebooks)
    assert details.decisions == 900
    assert details.exact_looks <= details.second_looks <= 900
    twins = np.zeros((1, 2, 20), np.float32)
    tied = assign_details(x, twins)
    # Equal codewords cannot be told apart but by the definition.
    assert (tied.decisions, tied.second_looks, tied.exact_looks) == (300, 300, 300)
    assert repr(tied) == "Assignment(rows=300, levels=1)"


def bfloat16(x):
    dtype = pytest.importorskip("ml_dtypes").bfloat16
    return x.astype(dtype)


@pytest.mark.parametrize(
    "convert", [lambda x: x.astype(np.float64) * (1 + 1e-9), lambda x: x.astype(np.float16), bfloat16]
)
def test_a_row_is_what_its_values_are_in_float32(convert):
    x, codebooks = random_problem()
    x = convert(x)
    np.testing.assert_array_equal(assign_codes(x, codebooks), assign_codes(x.astype(np.float32), codebooks))


def test_what_does_not_fit_float32_is_named():
    x, codebooks = random_problem()
    x = x.astype(np.float64)
    x[17, 3] = 1e39
    with pytest.raises(
        ValueError, match="row 17 of `x` is invalid: expected finite values, got NaN or infinity"
    ):
        assign_codes(x, codebooks)


@pytest.mark.parametrize("view", [lambda x: x[::2], lambda x: np.asfortranarray(x), lambda x: x[:, ::-1]])
def test_strided_rows_are_copied_if_asked(view):
    x, codebooks = random_problem()
    x = view(x)
    with pytest.raises(ValueError, match="strided"):
        assign_codes(x, codebooks)
    expected = assign_codes(np.ascontiguousarray(x), codebooks)
    np.testing.assert_array_equal(assign_codes(x, codebooks, copy=True), expected)


def test_alternatives_with_a_beam_are_refused():
    x, codebooks = random_problem()
    with pytest.raises(ValueError, match="`beam` is out of range: expected 1 to 1, got 2"):
        assign_details(x, codebooks, beam=2, alternatives=3)


@pytest.mark.parametrize("alternatives", [-1, 2**64])
def test_alternatives_that_are_none(alternatives):
    x, codebooks = random_problem()
    with pytest.raises(
        ConfigError,
        match=f"`alternatives` is out of range: expected 0 to 18446744073709551615, got {alternatives}",
    ):
        assign_details(x, codebooks, alternatives=alternatives)


def test_unknown_kernels_are_refused():
    with pytest.raises(ValueError, match='`kernel` is unknown: expected "vnni"'):
        Codebooks(np.zeros((1, 1, 1), np.float32), kernel="sse9")


def test_the_last_kernel_of_the_list_runs_everywhere():
    assert kernels()[-1] == "portable"
    # The fastest is taken unless another is asked for.
    assert Codebooks(np.zeros((1, 1, 1), np.float32)).kernel == kernels()[0]
