import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sidkit.data import Sequences
from sidkit.decode import ranking, top_k
from sidkit.errors import ConfigError, DataError


def oracle(scores, k, excluded, allowed=None):
    """Sort a row: the higher score first, of equal ones the lower index."""
    left = [i for i, score in enumerate(scores) if i not in excluded and score != -math.inf]
    left = [i for i in left if allowed is None or i in allowed]
    left = sorted(left, key=lambda i: (-scores[i], i))[:k]
    return left + [-1] * (k - len(left))


# Few distinct values, so that ties are common; both zeros, and the ends of the range.
VALUES = st.sampled_from([-math.inf, -3e38, -1.5, -1e-45, -0.0, 0.0, 1e-45, 0.25, 1.0, 3e38])


@st.composite
def problems(draw):
    shape = draw(st.tuples(st.integers(0, 5), st.integers(1, 40)))
    scores = draw(hnp.arrays(np.float32, shape, elements=VALUES))
    exclude = [draw(st.lists(st.integers(0, shape[1] - 1), max_size=6)) for _ in range(shape[0])]
    lists = draw(st.sampled_from([0, 1, shape[0]]))
    allow = [draw(st.lists(st.integers(0, shape[1] - 1), max_size=9)) for _ in range(lists)]
    return scores, draw(st.integers(1, 12)), exclude, allow


@given(problems(), st.booleans(), st.sampled_from([1, 7, 1000]))
def test_equals_sorting(problem, excluding, block):
    scores, k, exclude, allow = problem
    before = ranking._BLOCK_ELEMENTS
    ranking._BLOCK_ELEMENTS = block
    try:
        items, best = top_k(
            scores,
            k,
            Sequences.from_rows(exclude) if excluding else None,
            Sequences.from_rows(allow) if allow else None,
        )
    finally:
        ranking._BLOCK_ELEMENTS = before
    assert items.dtype == np.int32 and best.dtype == np.float32
    assert items.shape == best.shape == (len(scores), k)
    for row, found, found_scores in zip(range(len(scores)), items.tolist(), best.tolist(), strict=True):
        expected = oracle(
            scores[row].tolist(),
            k,
            set(exclude[row]) if excluding else set(),
            allow[row % len(allow)] if allow else None,
        )
        assert found == expected
        assert found_scores == [scores[row, i] if i >= 0 else -math.inf for i in expected]


def test_ties_go_to_the_lower_index():
    items, _ = top_k(np.zeros((2, 1000), np.float32), 3)
    assert items.tolist() == [[0, 1, 2], [0, 1, 2]]


def test_excluding_keeps_the_list_full():
    scores = np.array([[9.0, 8.0, 7.0, 6.0]])
    items, best = top_k(scores, 3, Sequences.from_rows([[0, 2, 0]]))
    assert items.tolist() == [[1, 3, -1]]
    assert best.tolist() == [[8.0, 6.0, -math.inf]]


def test_a_view_with_strides_ranks_alike():
    scores = np.random.default_rng(0).normal(size=(6, 40)).astype(np.float32)
    assert np.array_equal(top_k(np.asfortranarray(scores)[::2], 5)[0], top_k(scores[::2].copy(), 5)[0])


def test_the_input_is_left_as_it_was():
    scores = np.array([[1.0, -0.0, 3.0]], np.float32)
    before = scores.tobytes()
    top_k(scores, 2, Sequences.from_rows([[2]]))
    assert scores.tobytes() == before


@pytest.mark.parametrize(
    ("scores", "k", "exclude", "error", "message"),
    [
        ([[1.0]], 0, None, ConfigError, "`k` is invalid: expected an integer >= 1, got 0."),
        ([1.0], 1, None, DataError, "`scores` must be (m, n_items), got (1,)"),
        (
            [[0.0], [np.nan]],
            1,
            None,
            DataError,
            "the score of item 0 in row 1 is nan; scores must be numbers below +inf in float32",
        ),
        (
            [[0.0, 1e300]],
            1,
            None,
            DataError,
            "the score of item 1 in row 0 is 1e+300; scores must be numbers below +inf in float32",
        ),
        (
            [[0.0]],
            1,
            [[], []],
            DataError,
            "`exclude` must have one row for each of the 1 rows of scores, got 2",
        ),
        (
            [[0.0]],
            1,
            [[1]],
            DataError,
            "`exclude` holds items outside the catalogue: expected 0..0, got 1..1",
        ),
    ],
)
def test_bad_input(scores, k, exclude, error, message):
    rows = None if exclude is None else Sequences.from_rows(exclude)
    with pytest.raises(error) as caught:
        top_k(np.array(scores), k, rows)
    assert str(caught.value) == message
