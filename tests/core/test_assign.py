"""`assign_codes` against the definition in NumPy, and everything that can be wrong with its arguments."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sidkit import assign_codes
from sidkit._core import Codebooks
from sidkit.errors import ConfigError


def oracle(x, codebooks):
    """The definition: float64 distances in index order, lowest code on a tie, float32 residuals."""
    residual = x.copy()
    codes = np.empty((len(x), len(codebooks)), np.uint16)
    for level, words in enumerate(codebooks):
        for row in range(len(x)):
            squares = (residual[row].astype(np.float64) - words.astype(np.float64)) ** 2
            # `cumsum` adds strictly in index order, which `sum` does not.
            codes[row, level] = np.argmin(squares.cumsum(axis=1)[:, -1])
        with np.errstate(over="ignore"):
            residual -= words[codes[:, level]]
    return codes


def random_problem(seed=0, n=500, dim=16, sizes=(20, 33, 7)):
    rng = np.random.default_rng(seed)
    codebooks = [rng.normal(size=(size, dim)).astype(np.float32) for size in sizes]
    return rng.normal(size=(n, dim)).astype(np.float32), codebooks


floats = st.one_of(
    st.floats(-1, 1, width=32),
    st.integers(-2, 2).map(float),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@settings(deadline=None)
@given(data=st.data(), dim=st.integers(1, 9), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_codes_are_those_of_the_definition(data, dim, sizes):
    codebooks = [data.draw(hnp.arrays(np.float32, (size, dim), elements=floats)) for size in sizes]
    x = data.draw(hnp.arrays(np.float32, (data.draw(st.integers(0, 9)), dim), elements=floats))
    np.testing.assert_array_equal(assign_codes(x, codebooks), oracle(x, codebooks))


@pytest.mark.parametrize("threads", [None, 1, 2, 5])
def test_threads_and_batches_leave_no_trace(threads):
    x, codebooks = random_problem(n=3000)
    prepared = Codebooks(codebooks)
    expected = oracle(x, codebooks)
    np.testing.assert_array_equal(assign_codes(x, prepared, threads=threads), expected)
    parts = [assign_codes(part, prepared, threads=threads) for part in np.array_split(x, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_golden_codes():
    def numbers(first, rows):
        integers = np.arange(first, first + rows * 8, dtype=np.int64) * 2_654_435_761 % 1009
        return (integers / 100).astype(np.float32).reshape(rows, 8)

    codebooks = [numbers(77 * level, 33) for level in range(3)]
    golden = [[8, 2, 5], [9, 2, 5], [10, 2, 5], [11, 2, 5], [12, 2, 5], [13, 2, 5]]
    np.testing.assert_array_equal(assign_codes(numbers(12_345, 6), codebooks), golden)


@pytest.mark.parametrize("sizes", [(1,), (1, 1, 1), (3, 1, 5), (256,) * 3])
def test_any_number_of_codes(sizes):
    x, codebooks = random_problem(n=20, sizes=sizes)
    np.testing.assert_array_equal(assign_codes(x, codebooks), oracle(x, codebooks))


def test_the_largest_code_fits():
    words = np.arange(65_536, dtype=np.float32)[:, None]
    codes = assign_codes(np.array([[65_535.0], [7.4]], np.float32), [words])
    assert codes.tolist() == [[65_535], [7]]


def test_ties_and_duplicates_take_the_lowest_code():
    words = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    x = np.array([[1, 0], [0, 1], [0, 0]], np.float32)
    assert assign_codes(x, words[None]).ravel().tolist() == [0, 1, 0]


def test_no_rows():
    codes = assign_codes(np.empty((0, 4), np.float32), np.zeros((3, 2, 4), np.float32))
    assert codes.shape == (0, 3)
    assert codes.dtype == np.uint16


def test_read_only_rows_and_own_output():
    x, codebooks = random_problem(n=10)
    x.flags.writeable = False
    out = np.zeros((10, 3), np.uint16)
    assert assign_codes(x, codebooks, out=out) is out
    np.testing.assert_array_equal(out, oracle(x, codebooks))


def test_many_python_threads_at_once():
    x, codebooks = random_problem(n=2000)
    prepared = Codebooks(codebooks)
    expected = assign_codes(x, prepared)
    with ThreadPoolExecutor(8) as pool:
        for codes in pool.map(lambda _: assign_codes(x, prepared), range(40)):
            np.testing.assert_array_equal(codes, expected)


X, WORDS = np.zeros((4, 3), np.float32), np.zeros((2, 5, 3), np.float32)
OUT = np.zeros((4, 2), np.uint16)
FROZEN = OUT.copy()
FROZEN.flags.writeable = False
NARROW = [WORDS[0], WORDS[1, :, :2].copy()]
INFINITE = [np.array([[0, 0, 0], [0, np.inf, 0]], np.float32)]


@pytest.mark.parametrize(
    ("error", "message", "x", "codebooks", "options"),
    [
        (
            TypeError,
            "`x` is invalid: expected a C-contiguous float32 array of shape (n, dim), got list",
            [[0]],
            WORDS,
            {},
        ),
        (TypeError, "float64, float16 or bfloat16, got int64. Convert it", X.astype(int), WORDS, {}),
        (ValueError, "of shape (n, dim), got shape [3]", X[0], WORDS, {}),
        (ValueError, "Copy it with `numpy.ascontiguousarray`", X[::2], WORDS, {}),
        (
            ValueError,
            "axis 1 of `x` has the wrong length: expected 3 to fit the other arguments, got 2",
            np.zeros((4, 2), np.float32),
            WORDS,
            {},
        ),
        (
            TypeError,
            "`codebooks` is invalid: expected a C-contiguous float32 array of shape (levels, codes,",
            X,
            3,
            {},
        ),
        (TypeError, "`codebooks[1]` is invalid: expected a C-contiguous float32", X, [WORDS[0], "a"], {}),
        (
            ValueError,
            "axis 1 of `codebooks[1]` has the wrong length: expected 3 to fit the other arguments, got 2",
            X,
            NARROW,
            {},
        ),
        (ValueError, "`codebooks` is empty: expected at least one level, got none", X, [], {}),
        (ValueError, "`levels` is out of range: expected at least 1, got 0", X, WORDS[:0], {}),
        (ValueError, "`codes` is out of range: expected 1 to 65536, got 0", X, WORDS[:, :0], {}),
        (
            ValueError,
            "row 1 of `codebook` is invalid: expected finite values, got NaN or infinity",
            X,
            INFINITE,
            {},
        ),
        (TypeError, "array of shape (n, levels), got int64. Convert", X, WORDS, {"out": OUT.astype(int)}),
        (
            ValueError,
            "axis 0 of `out` has the wrong length: expected 4 to fit the other arguments, got 3",
            X,
            WORDS,
            {"out": OUT[:3]},
        ),
        (
            ValueError,
            "axis 1 of `out` has the wrong length: expected 2 to fit the other arguments, got 1",
            X,
            WORDS,
            {"out": OUT[:, :1].copy()},
        ),
        (ValueError, "`out` cannot be written: expected a writable array", X, WORDS, {"out": FROZEN}),
        (
            ValueError,
            "`threads` is out of range: expected at least 1, or None for all cores, got 0",
            X,
            WORDS,
            {"threads": 0},
        ),
        (
            ValueError,
            "`threads` is out of range: expected at least 1, or None for all cores, got -1",
            X,
            WORDS,
            {"threads": -1},
        ),
        (ValueError, "`beam` is out of range: expected 1 to 64, got 0", X, WORDS, {"beam": 0}),
        (ConfigError, "`beam` is out of range: expected 1 to 64, got 65", X, WORDS, {"beam": 65}),
        (
            ConfigError,
            "`beam` is out of range: expected 0 to 18446744073709551615, got -1",
            X,
            WORDS,
            {"beam": -1},
        ),
        (
            ConfigError,
            "`beam` is out of range: expected 0 to 18446744073709551615, got 1180591620717411303424",
            X,
            WORDS,
            {"beam": 2**70},
        ),
        (TypeError, "'str' object cannot be interpreted as an integer", X, WORDS, {"beam": "wide"}),
    ],
)
def test_bad_arguments_are_named(error, message, x, codebooks, options):
    with pytest.raises(error) as caught:
        assign_codes(x, codebooks, **options)
    assert message in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 1234, 2999])
def test_the_first_row_that_is_not_finite_is_named(value, row):
    x, codebooks = random_problem(n=3000)
    x[row, 3] = x[2999, 0] = value
    with pytest.raises(
        ValueError, match=f"^row {row} of `x` is invalid: expected finite values, got NaN or infinity"
    ):
        assign_codes(x, codebooks)


def test_codebooks_show_what_they_hold():
    _, arrays = random_problem()
    codebooks = Codebooks(arrays)
    assert codebooks.sizes == (20, 33, 7)
    assert (codebooks.dim, len(codebooks)) == (16, 3)
    assert repr(codebooks) == "Codebooks(sizes=[20, 33, 7], dim=16)"
    for level, array in enumerate(arrays):
        np.testing.assert_array_equal(codebooks[level], array)
    np.testing.assert_array_equal(codebooks[-1], arrays[2])
    with pytest.raises(IndexError, match="level 3 of codebooks with 3 levels"):
        codebooks[3]


def test_codebooks_are_copied_and_pickled_by_content():
    x, arrays = random_problem()
    codebooks = Codebooks(arrays)
    expected = oracle(x, arrays)
    arrays[0][:] = 0
    np.testing.assert_array_equal(assign_codes(x, pickle.loads(pickle.dumps(codebooks))), expected)


def test_decoding_adds_codewords():
    x, arrays = random_problem()
    codes = assign_codes(x, arrays)
    expected = sum(words[codes[:, level]] for level, words in enumerate(arrays))
    np.testing.assert_array_equal(Codebooks(arrays).decode(codes), expected)
    codes[3, 2] = 7
    with pytest.raises(
        ValueError, match="row 3, level 2: the token is out of range: expected less than 7, got 7"
    ):
        Codebooks(arrays).decode(codes)
