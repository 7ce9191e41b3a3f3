"""Prefix tree and training of vectors against plain definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidkit.errors import DataError
from sidkit.search.prefixes import PrefixTraining, PrefixTree, train_vectors
from sidkit.search.prefixes.learning import node_of_each


def world(seed, documents=60, levels=2, size=4, dim=8):
    random = np.random.default_rng(seed)
    tokens = random.integers(0, size, (documents, levels))
    vectors = random.normal(size=(documents, dim)).astype(np.float32)
    return tokens, vectors, random.normal(size=(5, dim)).astype(np.float32)


def slow_search(tokens, vectors, query, k, beam):
    """Beam search over prefixes as tuples."""
    kept = [()]
    for length in range(1, tokens.shape[1] + 1):
        children = sorted(
            {tuple(row[:length]) for row in tokens.tolist() if tuple(row[: length - 1]) in kept}
        )
        worth = {}
        for child in children:
            below = vectors[(tokens[:, :length] == child).all(axis=1)].astype(np.float64)
            centre = below.mean(axis=0)
            worth[child] = centre @ query * np.linalg.norm(below, axis=1).mean() / np.linalg.norm(centre)
        kept = sorted(children, key=lambda child: -worth[child])[:beam]
    rows = [row for row, path in enumerate(tokens.tolist()) if tuple(path) in kept]
    return sorted(rows, key=lambda row: -(vectors[row] @ query))[:k]


@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_search_equals_the_plain_definition(seed, beam, levels):
    tokens, vectors, queries = world(seed, levels=levels)
    tree = PrefixTree.build(tokens, vectors)
    rows, scores = tree.search(queries, 7, beam)
    for query, found, values in zip(queries, rows, scores, strict=True):
        expected = slow_search(tokens, vectors, query, 7, beam)
        assert found[found >= 0].tolist() == expected
        assert values[: len(expected)] == pytest.approx(vectors[expected] @ query, abs=1e-5)
        assert (values[len(expected) :] == -np.inf).all()


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_wide_beam_is_exact(seed):
    tokens, vectors, queries = world(seed)
    tree = PrefixTree.build(tokens, vectors)
    rows, _ = tree.search(queries, 10, tree.widest)
    assert (rows == np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :10]).all()
    assert tree.work(queries, tree.widest) == len(tokens)


def test_work_counts_inner_products():
    tokens = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [1, 1]])
    vectors = np.array([[1, 0]] * 2 + [[0, 1]] * 3, np.float32)
    tree = PrefixTree.build(tokens, vectors)
    # Two prefixes of length 1, two of length 2 below the best, one document below the best of these.
    assert tree.work(np.array([[1, 0]], np.float32), beam=1) == 2 + 2 + 1


def test_invalid_trees():
    with pytest.raises(DataError, match="tokens and vectors do not fit"):
        PrefixTree.build(np.zeros((3, 2), int), np.zeros((2, 4), np.float32))
    with pytest.raises(DataError, match="tokens and vectors do not fit"):
        PrefixTree.build(np.zeros((0, 2), int), np.zeros((0, 4), np.float32))


def test_nodes_are_numbered_by_prefix():
    nodes = node_of_each(np.array([[1, 5], [0, 9], [1, 2], [1, 5]]))
    assert [each.tolist() for each in nodes] == [[1, 0, 1, 1], [2, 0, 1, 2]]


@pytest.mark.parametrize("exact_below", [2**15, 10])
def test_training_connects_queries_with_documents(exact_below):
    """Exact softmax, and hard negatives from the beam."""
    random = np.random.default_rng(0)
    content = random.normal(size=(40, 16)).astype(np.float32)
    content /= np.linalg.norm(content, axis=1, keepdims=True)
    tokens = np.stack([np.arange(40) % 4, np.arange(40) // 20], axis=1)
    queries = random.normal(size=(80, 16)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    pairs = np.arange(80), np.arange(80) % 40
    losses = []
    training = PrefixTraining(
        epochs=30,
        batch_size=16,
        learning_rate=0.01,
        weight_decay=0.1,
        exact_below=exact_below,
        negatives=8,
        beam=4,
    )
    learned = train_vectors(
        content, tokens, queries, pairs, training, lambda epoch, loss, offsets: losses.append(loss)
    )
    scores = (queries + queries @ learned.queries) @ (content + learned.documents).T
    assert losses[-1] < 0.5 * losses[0]
    assert (scores.argmax(axis=1) == pairs[1]).mean() > 0.9


def test_training_is_repeatable_and_decay_pulls_to_the_start():
    tokens, content, queries = world(1)
    pairs = np.arange(5), np.arange(5)
    first, second, decayed = (
        train_vectors(
            content, tokens, queries, pairs, PrefixTraining(epochs=3, learning_rate=0.01, weight_decay=decay)
        )
        for decay in (0.1, 0.1, 30.0)
    )
    assert (first.documents == second.documents).all() and (first.queries == second.queries).all()
    assert np.abs(decayed.documents).sum() < np.abs(first.documents).sum()
