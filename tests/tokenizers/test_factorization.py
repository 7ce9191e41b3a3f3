"""Factorization embeddings: against a dense solution, and communities with known members."""

import sys

import numpy as np
import pytest
from tests.tokenizers.histories import communities

from sidkit.data import Sequences
from sidkit.embed.factorization import factorization_embeddings
from sidkit.errors import ConfigError, DataError, MissingExtraError
from sidkit.tokenizers import collaborative_block

WITHOUT_EVENTS = 2


def test_an_extra_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "implicit", None)
    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sidkit\[als\]'"):
        factorization_embeddings(Sequences.from_rows([[0, 1]]), 2)


@pytest.fixture
def implicit():
    return pytest.importorskip("implicit", reason="the extra `als` is not installed")


@pytest.mark.usefixtures("implicit")
def test_communities_are_found():
    groups = np.arange(60) % 4
    vectors = factorization_embeddings(communities(groups, stray=0.1), 60 + WITHOUT_EVENTS, dim=8)
    assert vectors.shape == (62, 8) and vectors.dtype == np.float32
    assert (vectors[60:] == 0).all() and vectors[:60].any(axis=1).all()
    x = collaborative_block(vectors[:60])
    apart = np.linalg.norm(x[:, None] - x[None], axis=2)
    same = groups[:, None] == groups
    others = same & ~np.eye(60, dtype=bool)
    assert apart[others].mean() < 0.7 * apart[~same].mean()
    np.fill_diagonal(apart, np.inf)
    assert (groups[apart.argmin(axis=1)] == groups).mean() > 0.95


@pytest.mark.usefixtures("implicit")
def test_the_loss_is_that_of_a_dense_alternation():
    """The library's solver is approximate, and starts elsewhere: what it reaches is the same minimum."""
    rng = np.random.default_rng(0)
    histories = Sequences.from_rows(rng.integers(10, size=(40, 4)))
    counts = np.zeros((40, 10))
    np.add.at(counts, (np.repeat(np.arange(40), histories.lengths), histories.values), 1)
    weights, observed = np.where(counts > 0, 2.0 * counts, 1.0), counts > 0

    def solved(of, weights, observed):
        """The factors of rows, exactly, given those of columns."""
        found = [
            np.linalg.solve(of.T * weight @ of + 0.1 * np.eye(3), of.T @ (weight * row))
            for weight, row in zip(weights, observed, strict=True)
        ]
        return np.stack(found)

    def loss(items):
        users = solved(items, weights, observed)
        lengths = np.square(users).sum() + np.square(items).sum()
        return (weights * np.square(observed - users @ items.T)).sum() + 0.1 * lengths

    dense = rng.random((10, 3)) * 0.01
    for _ in range(200):
        dense = solved(solved(dense, weights, observed), weights.T, observed.T)
    found = factorization_embeddings(
        histories, 10, dim=3, confidence=2.0, regularization=0.1, iterations=200
    ).astype(np.float64)
    assert loss(found) == pytest.approx(loss(dense), rel=0.03)
    assert loss(found) < 0.9 * loss(rng.normal(size=(10, 3)))


@pytest.mark.usefixtures("implicit")
def test_the_result_depends_on_the_seed_alone():
    histories = communities(np.arange(40) % 3)
    first, second, third = (factorization_embeddings(histories, 40, dim=6, seed=seed) for seed in (0, 0, 1))
    assert (first == second).all()
    assert (first != third).any()


@pytest.mark.usefixtures("implicit")
def test_invalid_parameters():
    for settings, message in (
        ({"dim": 0}, "`dim` is invalid: expected an integer >= 1, got 0"),
        ({"iterations": 0}, "`iterations` is invalid: expected an integer >= 1, got 0"),
        ({"regularization": -1.0}, "expected regularization >= 0 and confidence > 0, got -1.0"),
        ({"confidence": 0.0}, r"confidence > 0, got 0.01 and 0.0"),
    ):
        with pytest.raises(ConfigError, match=message):
            factorization_embeddings(Sequences.from_rows([[0, 1]]), 2, **settings)
    with pytest.raises(DataError, match="there is nothing to factorize: expected histories with events"):
        factorization_embeddings(Sequences.from_rows([[], []]), 2)
    with pytest.raises(DataError, match="expected item rows below 2, got 4"):
        factorization_embeddings(Sequences.from_rows([[0, 4]]), 2)
