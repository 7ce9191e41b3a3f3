"""Collaborative embeddings: counts against a slow count, and communities with known members."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tokenizers.histories import communities

from sidkit.data import Sequences
from sidkit.embed.collaborative import collaborative_embeddings, cooccurrence
from sidkit.errors import ConfigError, DataError
from sidkit.tokenizers import RQKMeans, collaborative_block, hybrid_embeddings

rows_of_items = st.lists(st.lists(st.integers(0, 6), max_size=8), max_size=6)


@given(rows_of_items, st.integers(1, 9))
def test_counts_are_those_of_two_loops(rows, window):
    slow = np.zeros((7, 7))
    for row in rows:
        for at, first in enumerate(row):
            for second in row[at + 1 : at + 1 + window]:
                if first != second:
                    slow[first, second] += 1
                    slow[second, first] += 1
    counts = cooccurrence(Sequences.from_rows(rows), 7, window=window)
    assert (counts.toarray() == slow).all()


def test_inner_products_are_those_of_a_dense_decomposition():
    rng = np.random.default_rng(3)
    histories = Sequences.from_rows(rng.integers(12, size=(60, 5)))
    counts = cooccurrence(histories, 12).toarray()
    totals = counts.sum(axis=1)
    contexts = totals**0.75 / (totals**0.75).sum()
    with np.errstate(divide="ignore"):
        related = np.maximum(np.log(counts / counts.sum() / np.outer(totals / counts.sum(), contexts)), 0)
    values, directions = np.linalg.eigh((related + related.T) / 2)
    best = (directions[:, -4:] * np.maximum(values[-4:], 0)) @ directions[:, -4:].T
    vectors = collaborative_embeddings(histories, 12, dim=4)
    np.testing.assert_allclose(vectors @ vectors.T, best, atol=1e-4)


def test_two_items_that_only_occur_together_have_one_vector():
    vectors = collaborative_embeddings(
        Sequences.from_rows([[0, 1]] * 6 + [[2, 3]] * 2), 5, dim=3, smoothing=1
    )
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)
    np.testing.assert_allclose(vectors[2], vectors[3], atol=1e-5)
    # 12 of 16 ordered pairs hold item 0 and item 1, half of them in either order: log((6/16) / (6/16)^2),
    # off a diagonal of zeros: one vector each that gives the best of both has half of it.
    assert vectors[0] @ vectors[2] == pytest.approx(0, abs=1e-5)
    assert vectors[0] @ vectors[1] == pytest.approx(math.log(16 / 6) / 2, abs=1e-5)
    assert vectors[2] @ vectors[3] == pytest.approx(math.log(16 / 2) / 2, abs=1e-5)
    assert (vectors[4] == 0).all()


def test_communities_are_found():
    groups = np.arange(60) % 4
    vectors = collaborative_embeddings(communities(groups, stray=0.1), 60, dim=8)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    near = unit @ unit.T
    np.fill_diagonal(near, -1)
    assert (groups[near.argmax(axis=1)] == groups).mean() > 0.95


def test_the_result_is_reproducible():
    histories = communities(np.arange(40) % 3)
    first, second = (collaborative_embeddings(histories, 40, dim=6) for _ in range(2))
    assert (first == second).all()


def test_more_dimensions_than_the_data_has():
    vectors = collaborative_embeddings(communities([0, 0, 0, 1, 1, 1]), 6, dim=16)
    assert vectors.shape == (6, 16)
    assert (vectors[:, 5:] == 0).all()
    assert vectors[:, 0].any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "`window` is invalid: expected an integer >= 1, got 0"),
        ({"dim": 0}, "`dim` is invalid: expected an integer >= 1, got 0"),
        ({"shift": 0.5}, "`shift` is invalid: expected a number >= 1, got 0.5"),
        ({"smoothing": 2.0}, r"`smoothing` is invalid: expected a number in 0\.\.1, got 2.0"),
    ],
)
def test_invalid_parameters(settings, message):
    with pytest.raises(ConfigError, match=message):
        collaborative_embeddings(Sequences.from_rows([[0, 1]]), 2, **settings)


def test_histories_without_a_signal():
    with pytest.raises(
        DataError, match="expected items that co-occur in 2 histories, got no related pair of 3 items"
    ):
        collaborative_embeddings(Sequences.from_rows([[0], [1]]), 3)
    with pytest.raises(DataError, match="expected item rows below 2, got 4"):
        collaborative_embeddings(Sequences.from_rows([[0, 4]]), 2)
    with pytest.raises(DataError, match="`histories` is invalid: expected a Sequences, got"):
        collaborative_embeddings([[0, 1]], 2)


@given(st.floats(0, 1), st.integers(1, 9), st.integers(1, 9))
def test_blocks_have_their_shares_of_the_variance(weight, wide, narrow):
    rng = np.random.default_rng(0)
    content = rng.normal(size=(50, wide)) * np.logspace(-3, 3, wide) + 5
    collaborative = rng.normal(size=(50, narrow)) * 7
    collaborative[:10] = 0
    hybrid = hybrid_embeddings(content, collaborative, weight=weight)
    assert hybrid.dtype == np.float32 and hybrid.shape == (50, wide + narrow)
    total = wide + narrow
    assert np.square(hybrid[:, :wide]).sum(axis=1).mean() == pytest.approx((1 - weight) * total, abs=1e-3)
    assert np.square(hybrid[10:, wide:]).sum(axis=1).mean() == pytest.approx(weight * total, abs=1e-3)
    assert (hybrid[:10, wide:] == 0).all()
    np.testing.assert_allclose(hybrid[10:].mean(axis=0)[wide:], 0, atol=1e-4)


def test_hybrid_embeddings_follow_the_block_with_the_larger_weight():
    """Content separates two halves, collaborative signal odd and even items; one bit shows which decides."""
    rng = np.random.default_rng(0)
    items = np.arange(40)
    content = np.stack([(items < 20) * 9.0, rng.normal(size=40) * 0.1], axis=1)
    collaborative = collaborative_embeddings(communities(items % 2), 40, dim=4)
    for weight, truth in ((0.05, items < 20), (0.95, items % 2 == 1)):
        x = hybrid_embeddings(content, collaborative, weight=weight)
        codes = RQKMeans(1, 2, standardize=False).fit(x).encode(x)[:, 0]
        assert (codes == truth).mean() in (0.0, 1.0)


def test_embeddings_that_do_not_fit():
    x = np.random.default_rng(0).normal(size=(5, 3))
    with pytest.raises(ConfigError, match=r"`weight` is invalid: expected a number in 0\.\.1, got -1"):
        hybrid_embeddings(x, x, weight=-1)
    with pytest.raises(DataError, match="expected one row per item in both, got 5 and 4"):
        hybrid_embeddings(x, x[:4])
    with pytest.raises(
        DataError, match="the collaborative embeddings are constant: expected vectors that differ"
    ):
        collaborative_block(np.zeros((5, 3)))
    with pytest.raises(DataError, match="the content embeddings are constant: expected vectors that differ"):
        hybrid_embeddings(np.ones((5, 3)), x)
