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
    paths = [[number[tuple(row[: lv + 1])] for lv in range(levels)] for row in rows]
    assert tree.item_paths().tolist() == paths
    assert tree.leaf.tolist() == [path[-1] for path in paths]
    assert tree.token.tolist() == [prefix[-1] for prefix in flat]
    assert tree.parent.tolist() == [number.get(prefix[:-1], -1) for prefix in flat]
    for node, prefix in enumerate(flat):
        children = [number[p] for p in flat if p[:-1] == prefix and len(p) > 1]
        assert tree.branches[node] == len(children)
        if children:
            assert tree.first_child[node] == children[0]


@given(tokens_of_items, st.randoms(use_true_random=False))
def test_children_come_one_parent_after_the_other(rows, random):
    tree = SidTree.of(np.array(rows))
    parents = [random.randrange(tree.starts[-1]) for _ in range(5)]
    row, node = tree.children_of(torch.tensor(parents))
    expected = [
        (r, int(tree.first_child[parent]) + place)
        for r, parent in enumerate(parents)
        for place in range(int(tree.branches[parent]))
    ]
    assert list(zip(row.tolist(), node.tolist(), strict=True)) == expected


@given(tokens_of_items, st.integers(0, 2**32 - 1))
def test_masses_are_sums_over_the_semantic_ids_under_a_prefix(rows, seed):
    tree = SidTree.of(np.array(rows))
    scores = torch.randn(tree.level_nodes[-1], 2, generator=torch.Generator().manual_seed(seed))
    paths = np.unique(tree.item_paths().numpy(), axis=0)  # one row for each Semantic ID, in order
    expected = torch.stack(
        [
            scores[(paths == node).any(1).nonzero()[0]].double().logsumexp(0).float()
            for node in range(tree.starts[-1])
        ]
    )
    torch.testing.assert_close(tree.log_masses(scores), expected)


@given(tokens_of_items)
def test_a_prefix_of_one_semantic_id_leads_to_its_leaf(rows):
    tree = SidTree.of(np.array(rows))
    paths = np.unique(tree.item_paths().numpy(), axis=0)
    for node, lone in enumerate(tree.lone_leaves().tolist()):
        under = paths[(paths == node).any(1), -1]
        assert lone == (under[0] if len(under) == 1 else node)


def test_codebooks_too_large_for_one_integer_give_the_same_tree():
    """Items are sorted by one 64-bit key where it has enough bits, and column by column otherwise."""
    tokens = np.random.default_rng(0).integers(0, 5, (40, 4))
    narrow, wide = SidTree.of(tokens), SidTree.of(tokens * 2**16)
    for name in ("leaf", "parent", "first_child", "branches"):
        assert torch.equal(getattr(narrow, name), getattr(wide, name))
    assert torch.equal(narrow.token * 2**16, wide.token)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,)])
def test_no_items_is_an_error(shape):
    with pytest.raises(DataError, match=r"`tokens` must be \(items, levels\) with at least one of each"):
        SidTree.of(np.zeros(shape, np.int64))
