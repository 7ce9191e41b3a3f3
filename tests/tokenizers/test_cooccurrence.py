"""Co-occurrence clusters: the contract, and histories with known communities."""

import numpy as np
import pytest
from tests.contracts.tokenizer_contract import TokenizerContract, clustered
from tests.tokenizers.histories import communities

from sidkit.data import Sequences
from sidkit.errors import ConfigError, DataError
from sidkit.tokenizers import CooccurrenceClusters
from sidkit.tokenizers.parts.lookup import nearest_rows


def nearby(x, histories=1500):
    """Histories of items whose vectors are near each other."""
    z = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-6)
    order = np.argsort(np.square(z[:, None] - z).sum(axis=2), axis=1)
    rng = np.random.default_rng(0)
    return Sequences.from_rows(
        order[row, rng.choice(12, 5, replace=False)] for row in rng.integers(len(x), size=histories)
    )


class TestCooccurrenceClustersContract(TokenizerContract):
    def make(self, **settings):
        return CooccurrenceClusters(3, 8, **settings)

    def inputs(self, x):
        return {"histories": nearby(x)}


class TestBalancedClustersContract(TestCooccurrenceClustersContract):
    def make(self, **settings):
        return CooccurrenceClusters(3, 8, balanced=True, **settings)


@pytest.fixture(scope="module")
def nested():
    """Items of 4 communities of 4 circles; histories seldom leave the circle, hardly ever the community."""
    circles = np.random.default_rng(0).permutation(np.repeat(np.arange(16), 6))
    rows = [*communities(circles, 3000), *communities(circles // 4, 1000), *communities(circles * 0, 60)]
    return circles, Sequences.from_rows(rows)


@pytest.mark.parametrize("balanced", [False, True])
def test_communities_and_their_circles_are_found(nested, balanced):
    circles, histories = nested
    x = np.random.default_rng(1).normal(size=(96, 5))
    tokenizer = CooccurrenceClusters(3, [4, 4, 8], balanced=balanced).fit(x, histories=histories)
    codes = tokenizer.encode(x)
    assert len(np.unique(np.stack([codes[:, 0], circles // 4], axis=1), axis=0)) == 4
    assert len(np.unique(np.concatenate([codes[:, :2], circles[:, None]], axis=1), axis=0)) == 16
    assert len(np.unique(codes, axis=0)) == 96


def test_large_graphs_are_cut_like_small_ones(nested, monkeypatch):
    _, histories = nested
    x = np.random.default_rng(1).normal(size=(96, 5))
    small = CooccurrenceClusters(1, 4).fit(x, histories=histories).encode(x)[:, 0]
    monkeypatch.setattr("sidkit.tokenizers.cooccurrence._DENSE", 10)
    large = CooccurrenceClusters(1, 4).fit(x, histories=histories).encode(x)[:, 0]
    assert len({*zip(small.tolist(), large.tolist(), strict=True)}) == 4


def test_balanced_clusters_are_of_equal_size(nested):
    _, histories = nested
    x = np.random.default_rng(1).normal(size=(96, 5))
    codes = CooccurrenceClusters(1, 7, balanced=True).fit(x, histories=histories).encode(x)
    assert np.bincount(codes[:, 0]).max() <= 14


def test_items_without_interactions_have_the_path_of_the_nearest():
    x = clustered(rows=50)
    x[40:] = x[:10] * np.float32(1.0001)  # near the first ten, which have interactions
    histories = communities(np.arange(40) % 5)
    tokenizer = CooccurrenceClusters(2, 8).fit(x, histories=histories)
    assert (tokenizer.encode(x[40:]) == tokenizer.encode(x[:10])).all()
    assert tokenizer.paths_.shape == (40, 2)


def test_a_cluster_that_fits_a_level_has_a_code_for_each_item():
    x = clustered(rows=10)
    tokenizer = CooccurrenceClusters(1, 10).fit(x, histories=communities(np.zeros(10)))
    assert sorted(tokenizer.encode(x)[:, 0].tolist()) == list(range(10))


def test_a_prefix_stands_for_the_mean_of_its_items(nested):
    x = np.random.default_rng(1).normal(size=(96, 5)).astype(np.float32)
    tokenizer = CooccurrenceClusters(3, [4, 4, 8]).fit(x, histories=nested[1])
    codes = tokenizer.encode(x)
    for depth in (1, 2):
        members = (codes[:, :depth] == codes[3, :depth]).all(axis=1)
        np.testing.assert_allclose(
            tokenizer.decode(codes[3:4, :depth])[0], x[members].mean(axis=0), atol=1e-5
        )
    unknown = np.array([[*codes[3, :2], 7]])
    assert not (codes == unknown).all(axis=1).any()
    assert (tokenizer.decode(unknown) == tokenizer.decode(codes[3:4, :2])).all()


def test_blocks_of_words_give_the_nearest_of_all():
    rng = np.random.default_rng(0)
    words = rng.integers(-2, 3, size=(40, 3)).astype(np.float32)  # with repeats
    x = rng.normal(size=(200, 3)).astype(np.float32)
    slow = np.square(x[:, None].astype(np.float64) - words).sum(axis=2).argmin(axis=1)
    for most in (7, 40, 100):
        assert (nearest_rows(x, words, 1, most) == slow).all()


def test_invalid_arguments():
    x = clustered(rows=20)
    with pytest.raises(DataError, match=r"histories are missing: .* Call fit\(x, histories=split.train\)"):
        CooccurrenceClusters(2, 4).fit(x)
    with pytest.raises(DataError, match="expected items that co-occur in histories, got none in 2 histories"):
        CooccurrenceClusters(2, 4).fit(x, histories=Sequences.from_rows([[1], [2]]))
    with pytest.raises(DataError, match="expected item rows below 20, got 30"):
        CooccurrenceClusters(2, 4).fit(x, histories=Sequences.from_rows([[1, 30]]))
    with pytest.raises(ConfigError, match="`window` is invalid: expected an integer >= 1, got 0"):
        CooccurrenceClusters(window=0)
