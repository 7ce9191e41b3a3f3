"""Hierarchical k-means: the contract, descent in the tree, and its leaves."""

import numpy as np
import pytest
from tests.contracts.tokenizer_contract import TokenizerContract, clustered

from sidkit.errors import DataError
from sidkit.tokenizers import HierarchicalKMeans, quality_report


class TestHierarchicalKMeans(TokenizerContract):
    def make(self, **settings):
        return HierarchicalKMeans(3, 8, **settings)


class TestUnbalancedTree(TokenizerContract):
    def make(self, **settings):
        return HierarchicalKMeans(3, [8, 2, 3], balanced=False, init="k-means++", **settings)


def descend(tokenizer, vector):
    """The path of one vector, node by node, by distances in float64."""
    path, node = [], 0
    for centroids, offsets in zip(tokenizer.centroids_, tokenizer._offsets, strict=True):
        children = centroids[offsets[node] : offsets[node + 1]].astype(np.float64)
        path.append(int(np.square(children - vector).sum(axis=1).argmin()))
        node = offsets[node] + path[-1]
    return path


@pytest.mark.parametrize("balanced", [False, True])
def test_a_path_descends_to_the_nearest_child(balanced):
    x = clustered()
    tokenizer = HierarchicalKMeans(3, 4, balanced=balanced).fit(x)
    new = clustered(rows=60, seed=0) * np.float32(1.1)
    z = tokenizer.standardizer_.apply(new).astype(np.float64)
    assert tokenizer.encode(new).tolist() == [descend(tokenizer, row) for row in z]


def test_leaves_of_few_vectors_hold_one_each():
    x = clustered(rows=60)
    tokenizer = HierarchicalKMeans(2, 16).fit(np.concatenate([x, x[:10]]))
    codes = tokenizer.encode(x)
    assert quality_report(tokenizer, x).unique_rate == 1.0
    np.testing.assert_allclose(tokenizer.decode(codes), x, rtol=1e-4, atol=1e-3)


def test_balanced_splits_are_more_even():
    x = np.random.default_rng(0).standard_t(2, size=(600, 6)).astype(np.float32)
    even, uneven = (
        HierarchicalKMeans(1, 8, balanced=balanced, init="k-means++").fit(x) for balanced in (True, False)
    )
    largest = [np.bincount(one.encode(x)[:, 0]).max() for one in (even, uneven)]
    assert largest[0] < largest[1]


def test_a_path_that_is_not_in_the_tree():
    tokenizer = HierarchicalKMeans(2, 16).fit(clustered(rows=60))
    children = np.diff(tokenizer._offsets[1])
    node = int(children.argmin())
    with pytest.raises(
        DataError,
        match=f"row 1 are not a path of the tree: expected one of {children[node]} children, got {node}-15",
    ):
        tokenizer.decode([[node, 0], [node, 15]])


def test_alternatives_of_a_tree_are_the_nearest_leaves_if_enough_are_kept():
    x = clustered(rows=80)
    tokenizer = HierarchicalKMeans(2, 5).fit(x)
    leaves = len(tokenizer.centroids_[-1])
    choices = tokenizer.alternatives(x[:5], 1000)
    assert choices.shape == (5, leaves, 2)
    z = tokenizer.standardizer_.apply(x[:5])
    decoded = tokenizer.standardizer_.apply(tokenizer.decode(choices.reshape(-1, 2))).reshape(5, leaves, -1)
    far = np.square(decoded - z[:, None]).sum(axis=2)
    assert (np.diff(far, axis=1) > -1e-3).all()
