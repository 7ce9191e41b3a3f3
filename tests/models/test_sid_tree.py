"""The tree of Semantic IDs: every array against what a dict of prefixes says."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sidkit.errors import DataError
from sidkit.models import SidTree

tokens_of_items = st.integers(1, 4).flatmap(
    lambda levels: st.lists(
        st.lists(st.integers(0, 3), min_size=levels, max_size=levels), min_size=1, max_size=30
    )
)


@given(tokens_of_items)
def test_nodes_are_the_sorted_prefixes(rows):
    tokens = np.array(rows)
    levels = tokens.shape[1]
    tree = SidTree.of(tokens)
    prefixes = [sorted({tuple(row[: level + 1]) for row in rows}) for level in range(levels)]
    flat = [prefix for level in prefixes for prefix in level]
    number = {prefix: node for node, prefix in enumerate(flat)}
    assert tree.level_nodes == [len(level) for level in prefixes]
    assert tree.path.tolist() == [[number[tuple(row[: lv + 1])] for lv in range(levels)] for row in rows]
    assert tree.token.tolist() == [prefix[-1] for prefix in flat]
    assert tree.parent.tolist() == [number.get(prefix[:-1], -1) for prefix in flat]
    for node, prefix in enumerate(flat):
        children = [number[p] for p in flat if p[:-1] == prefix and len(p) > 1]
        assert tree.branches[node] == len(children)
        if children:
            assert tree.first_child[node] == children[0]


@given(tokens_of_items, st.randoms(use_true_random=False))
def test_siblings_are_the_children_one_parent_after_the_other(rows, random):
    tree = SidTree.of(np.array(rows))
    parents = [random.randrange(tree.starts[-1]) for _ in range(5)]
    row, place, node = tree.siblings(torch.tensor(parents))
    expected = [
        (r, p, int(tree.first_child[parent]) + p)
        for r, parent in enumerate(parents)
        for p in range(int(tree.branches[parent]))
    ]
    assert list(zip(row.tolist(), place.tolist(), node.tolist(), strict=True)) == expected


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,)])
def test_no_items_is_an_error(shape):
    with pytest.raises(DataError, match=r"`tokens` must be \(items, levels\) with at least one of each"):
        SidTree.of(np.zeros(shape, np.int64))
