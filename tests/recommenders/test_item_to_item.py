"""Transition graph and item-kNN: known answers in small worlds, and settings outside their range."""

import numpy as np
import pytest

from sidkit.data import Sequences
from sidkit.errors import ConfigError
from sidkit.recommenders import ItemKNN, TransitionGraph

HISTORIES = Sequences.from_rows([[0, 1, 2], [0, 1], [3, 1], [4]])
PLAIN = {"shrinkage": 0.0, "normalization": 0.0, "content": 0.0}


def _graph(**settings):
    return TransitionGraph(**(PLAIN | settings)).fit(HISTORIES).matrix_.toarray()


def test_edges_are_counts_discounted_by_distance():
    expected = np.zeros((5, 5))
    expected[0, 1], expected[0, 2], expected[1, 2], expected[3, 1] = 2, 0.5, 1, 1
    np.testing.assert_allclose(_graph(backward=0.0), expected)
    np.testing.assert_allclose(_graph(backward=0.25), expected + 0.25 * expected.T)


def test_the_window_bounds_the_distance():
    assert _graph(window=1, backward=0.0)[0, 2] == 0


def test_normalization_divides_rows_and_popularity_divides_columns():
    graph = _graph(backward=0.0)
    np.testing.assert_allclose(_graph(backward=0.0, normalization=1.0)[0], graph[0] / graph[0].sum())
    events = np.array([2, 3, 1, 1, 1]) + 1.0
    np.testing.assert_allclose(_graph(backward=0.0, popularity=1.0), graph / events, rtol=1e-6)


def test_shrinkage_discounts_rare_transitions_more():
    graph = _graph(backward=0.0)
    np.testing.assert_allclose(_graph(backward=0.0, shrinkage=1.0), graph**2 / (graph + 1), rtol=1e-6)


def test_a_hop_adds_normalized_paths_of_two_edges():
    graph = _graph(window=1, backward=0.0)
    added = _graph(window=1, backward=0.0, hop=0.5) - graph
    expected = np.zeros((5, 5))
    expected[0, 2] = expected[3, 2] = 0.5
    np.testing.assert_allclose(added, expected)


def test_content_reaches_items_without_transitions():
    vectors = np.eye(5, 3, dtype=np.float32)
    vectors[4] = vectors[0]
    graph = TransitionGraph(content_neighbors=1).fit(HISTORIES, item_vectors=vectors).matrix_.toarray()
    assert graph[0, 4] > 0 and graph[4, 0] > 0
    assert TransitionGraph().fit(HISTORIES).matrix_.toarray()[4].sum() == 0


def test_scores_sum_the_edges_of_recent_items_discounted_by_recency():
    model = TransitionGraph(**PLAIN, recency=0.5, max_items=2).fit(HISTORIES)
    graph = model.matrix_.toarray()
    found = model._scores(Sequences.from_rows([[3, 0, 1], [], [2]]))
    np.testing.assert_allclose(found, [graph[1] + 0.5 * graph[0], np.zeros(5), graph[2]])
    assert found.dtype == np.float32


def test_item_knn_is_the_cosine_of_shared_users():
    knn = ItemKNN(source_normalization=0.5, target_normalization=0.5, recency=1.0).fit(HISTORIES)
    users = np.zeros((4, 5))
    for user, row in enumerate(HISTORIES):
        users[user, row] = 1
    lengths = np.maximum(np.linalg.norm(users, axis=0), 1)
    expected = users.T @ users / np.outer(lengths, lengths)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(knn.matrix_.toarray(), expected, rtol=1e-6)
    np.testing.assert_allclose(
        knn._scores(Sequences.from_rows([[0, 2]])), expected[[0]] + expected[[2]], rtol=1e-6
    )


def test_item_knn_keeps_the_nearest_of_every_candidate():
    knn = ItemKNN(neighbors=1, source_normalization=0.0).fit(HISTORIES).matrix_.toarray()
    assert (knn > 0).sum(0).max() == 1 and knn[0, 1] == 2


@pytest.mark.parametrize("model", [TransitionGraph, ItemKNN])
@pytest.mark.parametrize("setting", [{"max_items": 0}, {"recency": 0.0}, {"shrinkage": -1.0}])
def test_settings_outside_their_range_are_refused(model, setting):
    with pytest.raises(ConfigError, match=rf"`{next(iter(setting))}`: input should be"):
        model(**setting).fit(HISTORIES)


def test_added_items_have_the_edges_of_content_that_a_fit_gives_them():
    random = np.random.default_rng(3)
    x = random.normal(size=(40, 4)).astype(np.float32)
    histories = [random.permutation(30)[:6].tolist() for _ in range(50)]
    every = [*histories, [*range(40)]]
    whole = TransitionGraph(content_neighbors=5).fit(every, item_vectors=x)
    ids = whole.item_ids_.to_list()
    order = np.array([ids.index(item) for item in range(40)])  # items are numbered as they occur
    x = x[np.argsort(order)]
    first = ids[:30]
    grown = TransitionGraph(content_neighbors=5).fit([*histories, first], item_vectors=x[:30])
    assert grown.item_ids_.to_list() == first
    before = grown.matrix_.toarray()
    grown.add_items(ids[30:36], x[30:36]).add_items(ids[36:], x[36:])
    after = grown.matrix_.toarray()
    np.testing.assert_array_equal(after[:30, :30], before)
    cosine = (x @ x.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(x, axis=1)
    np.fill_diagonal(cosine, -1)
    power = np.maximum(cosine, 0) ** 8
    for item in range(36, 40):  # the last ones were compared with all others
        nearest = np.argsort(-cosine[item])[:5]
        expected = np.zeros(40)
        expected[nearest] = 0.5 * power[item, nearest] / power[item, nearest].sum()
        np.testing.assert_allclose(after[item], expected, rtol=2e-2, atol=1e-4)
    for item in range(30):
        known = np.sort(power[item, :30])[::-1][:5]
        joined = np.where(power[item, 30:] > known[-1], 0.5 * power[item, 30:] / known.sum(), 0)
        np.testing.assert_allclose(after[item, 30:], joined, rtol=2e-2, atol=1e-4)


def test_without_item_vectors_added_items_have_no_edges():
    graph = TransitionGraph().fit([["a", "b", "c"], ["b", "c"]]).add_items(["d"])
    assert graph.matrix_.shape == (4, 4) and graph.matrix_[[3]].nnz == graph.matrix_[:, [3]].nnz == 0
    assert graph.recommend(["d", "a"], k=2)[0].tolist() == ["b", "c"]
