"""The tree of Semantic IDs and the vectors of its nodes, as inference files store them.

Shapes: N items, L levels, M nodes of a level, D = d_model.
"""

from typing import Any

import numpy as np
import torch

from sidkit.models import RQTransformerNetwork
from sidkit.recommenders.inference.encoders import Arrays, to_numpy

__all__ = ["bias_arrays", "growth_arrays", "tree_arrays", "vector_arrays"]

_BLOCK = 65_536  # nodes whose vectors are computed at once
_NONE = 2**32 - 1  # row of a prefix without a trained vector


def tree_arrays(tree: Any) -> Arrays:
    """Return the levels of a `SidTree`, and the order of the items by their Semantic IDs."""
    token, first_child = tree.token.numpy(), tree.first_child.numpy()
    leaf = tree.leaf.numpy() - tree.leaves.start  # (N,)
    arrays: Arrays = {}
    for level, nodes in enumerate(tree.level_nodes):
        place = tree.level(level)
        if level + 1 < tree.levels:
            below = tree.level(level + 1)
            first = np.append(first_child[place] - below.start, below.stop - below.start)
        else:
            first = np.append(0, np.bincount(leaf, minlength=nodes).cumsum())
        arrays[f"tree.{level}.token"] = token[place].astype(np.uint16)
        arrays[f"tree.{level}.first"] = first.astype(np.uint32)
    arrays["slot.item"] = np.argsort(leaf, kind="stable").astype(np.uint32)
    arrays["item.row"] = leaf.astype(np.uint32)
    return arrays


@torch.inference_mode()
def vector_arrays(network: RQTransformerNetwork) -> Arrays:
    """Return the vectors that decoding needs.

    Those of the leaves come first. A network that scores level by level also needs those of prefixes: one
    with a single leaf has the leaf's vector, the others follow.
    """
    tree, vectors = network.tree, network.vectors
    leaves = tree.leaves
    if network.exact:
        return {"vectors": _vectors(vectors, torch.arange(leaves.start, leaves.stop))}
    lone = vectors.lone_leaves
    shared = torch.nonzero(lone[: leaves.start] < leaves.start)[:, 0]
    row = torch.where(lone >= leaves.start, lone - leaves.start, -1)
    row[shared] = torch.arange(len(shared)) + leaves.stop - leaves.start
    arrays: Arrays = {
        f"tree.{level}.row": row[tree.level(level)].numpy().astype(np.uint32)
        for level in range(tree.levels - 1)
    }
    arrays["vectors"] = _vectors(vectors, torch.cat([torch.arange(leaves.start, leaves.stop), shared]))
    return arrays


def bias_arrays(network: RQTransformerNetwork) -> Arrays:
    """Return the biases of nodes without a vector of their own, for levels that have some."""
    tree, vectors = network.tree, network.vectors
    if not network.new_item_bias or not vectors.mapped:
        return {}
    bias = vectors.is_new(vectors.lone_leaves).numpy() * np.float32(network.new_item_bias)
    first = tree.levels - 1 if network.exact else 0
    return {f"tree.{level}.bias": bias[tree.level(level)] for level in range(first, tree.levels)}


def growth_arrays(network: RQTransformerNetwork) -> Arrays:
    """Return the parts of the vectors of new items: of tokens and prefixes, and projected content."""
    tree, vectors = network.tree, network.vectors
    above = tree.leaves.start  # nodes above the leaves
    row = vectors.row[:above].long() if vectors.mapped else torch.arange(above)
    used, place = torch.unique(row, return_inverse=True)
    missing = int(len(used) > 0 and used[0] < 0)  # -1 comes first
    place = torch.where(row < 0, _NONE, place - missing)
    arrays: Arrays = {
        f"tree.{level}.prefix": place[tree.level(level)].numpy().astype(np.uint32)
        for level in range(tree.levels - 1)
    }
    arrays["code"] = to_numpy(vectors.code.weight)
    arrays["prefix"] = to_numpy(vectors.prefix.weight[used[missing:]])
    if vectors.project is not None:
        arrays["content.project"] = to_numpy(vectors.project.weight)
        arrays["content.shift"] = to_numpy(vectors.shift)
        arrays["content.scale"] = to_numpy(vectors.scale)
    return arrays


def _vectors(vectors: Any, nodes: torch.Tensor) -> Any:
    parts = [vectors(nodes[start : start + _BLOCK]).float().numpy() for start in range(0, len(nodes), _BLOCK)]
    return np.concatenate(parts)
