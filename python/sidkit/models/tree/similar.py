"""Vectors of items without training events, from those of similar items."""

import torch
from torch import Tensor
from torch.nn import functional as F

from sidkit.models.tree.node_vectors import NodeVectors

__all__ = ["similar_means"]

_NEIGHBORS = 10
_POWER = 16  # of the cosine, so that the nearest count most
_BLOCK = 1024  # nodes compared at once


def similar_means(vectors: NodeVectors, nodes: Tensor, known: Tensor, values: Tensor) -> Tensor:
    """Return the mean of the values of the ten nodes with the most similar content, weighted by similarity.

    Args:
        vectors: the vectors, with content.
        nodes: int64 (n,).
        known: nodes that have values, int64 (m,), at least one.
        values: f32 (m, D).

    Returns:
        f32 (n, D).
    """

    def units(of: Tensor) -> Tensor:
        return F.normalize(vectors.raw_content(vectors.content_row[of].long()))

    every, found = units(known), [values[:0]]
    for part in torch.split(nodes, _BLOCK):
        nearest = (units(part) @ every.T).topk(min(_NEIGHBORS, len(known)))
        weights = nearest.values.clamp(min=1e-6) ** _POWER
        weights = weights / weights.sum(1, keepdim=True)  # (B, k)
        found.append((weights[..., None] * values[nearest.indices]).sum(1))
    return torch.cat(found)
