"""PQ and OPQ: the contract, and data whose parts are known."""

import numpy as np
import pytest
from tests.contracts.tokenizer_contract import TokenizerContract

from sidkit.errors import ConfigError
from sidkit.tokenizers import OPQ, PQ, quality_report


class TestOPQContract(TokenizerContract):
    def make(self, **settings):
        return OPQ(3, 8, **settings)


class TestPQContract(TokenizerContract):
    def make(self, **settings):
        return PQ(3, 8, **settings)


def test_opq_is_pq_with_the_rotation(corners):
    rotated = PQ(2, 4, rotation=True).fit(corners)
    assert (OPQ(2, 4).fit(corners).encode(corners) == rotated.encode(corners)).all()


@pytest.fixture(scope="module")
def corners():
    """Two independent parts of four places each."""
    rng = np.random.default_rng(0)
    places = np.array([[9, 0], [0, 9], [-9, 0], [0, -9]], np.float32)
    return np.concatenate([places[rng.integers(4, size=300)], 2 * places[rng.integers(4, size=300)]], axis=1)


def test_independent_parts_are_found_exactly(corners):
    tokenizer = PQ(2, 4, standardize=False).fit(corners)
    np.testing.assert_allclose(tokenizer.decode(tokenizer.encode(corners)), corners, atol=1e-4)
    assert len(np.unique(tokenizer.encode(corners), axis=0)) == 16


def test_a_rotation_spreads_the_variance():
    """Two strong dimensions in one part are one too many for its four codes; OPQ gives each part one of them.

    Four codes leave 0.1175 of a Gaussian dimension's variance, and 4 for a plane 0.3634 of each (Max, 1960).
    """
    x = (np.random.default_rng(0).normal(size=(4000, 4)) * [10, 10, 1, 1]).astype(np.float32)
    errors = {}
    for rotation in (False, True):
        tokenizer = PQ(2, 4, rotation=rotation, standardize=False).fit(x)
        errors[rotation] = float(np.square(x - tokenizer.decode(tokenizer.encode(x))).sum(axis=1).mean())
    assert errors[False] == pytest.approx(2 * 100 * 0.3634, rel=0.05)
    assert errors[True] == pytest.approx(2 * 100 * 0.1175 + 2, rel=0.05)


def test_the_rotation_keeps_lengths(corners):
    tokenizer = PQ(2, 4, rotation=True, standardize=False).fit(corners)
    weight = tokenizer._rotation.layers[0][0]
    np.testing.assert_allclose(weight.T @ weight, np.eye(4), atol=1e-5)


@pytest.mark.parametrize("rotation", [True, False])
def test_levels_that_do_not_divide_the_dimensions(rotation):
    x = np.random.default_rng(0).normal(size=(200, 7)).astype(np.float32)
    tokenizer = PQ(3, [8, 4, 2], rotation=rotation).fit(x)
    report = quality_report(tokenizer, x)
    assert tokenizer.codebook_sizes == (8, 4, 2)
    assert report.levels[-1].mse < 0.8


def test_invalid_parameters():
    with pytest.raises(ConfigError, match="`rounds` is invalid: expected an integer >= 1, got 0"):
        PQ(rounds=0)
