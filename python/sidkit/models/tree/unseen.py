"""Networks that treat items without training events as new ones, after the training."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from sidkit.models.tree.node_vectors import NodeVectors, node_counts

__all__ = ["with_similar_means", "without_unseen"]

_NEIGHBORS = 10
_POWER = 16  # of the cosine, so that the nearest count most
_BLOCK = 1024  # nodes compared at once


@torch.inference_mode()
def without_unseen(network: Any, counts: npt.NDArray[np.integer]) -> Any:
    """Return a network without the vectors of prefixes that have no training event, in evaluation mode.

    Training has only pushed such a vector away from the histories. What is left of an item is the rest of the
    sum: its codes, the prefixes that it shares with others, and its content.

    Args:
        network: an `RQTransformerNetwork`.
        counts: training events of every item, int64 (N,).
    """
    vectors = network.vectors
    seen = torch.from_numpy(node_counts(network.tree, counts) > 0)
    if bool(seen.all()):
        return network
    settings, state = dict(network.settings), network.state_dict()
    row = vectors.row if vectors.mapped else seen.cumsum(0) - 1
    state["vectors.row"] = torch.where(seen, row, -1).int()
    if not vectors.mapped:
        settings["owned"] = int(seen.sum())
        state["vectors.prefix.weight"] = vectors.prefix.weight[seen]
    return network.with_state(settings, state)


@torch.inference_mode()
def with_similar_means(network: Any) -> Any:
    """Return a network whose new Semantic IDs have the mean vector of similar ones, in evaluation mode.

    Each gets a vector that makes its sum the weighted mean of those of the ten trained Semantic IDs with the
    most similar content. Without content, in a large catalogue, or without a trained or a new Semantic ID,
    the network stays as it is.

    Args:
        network: an `RQTransformerNetwork`.
    """
    vectors = network.vectors
    if vectors.hashed or not vectors.mapped or vectors.project is None or not network.exact:
        return network
    leaves = torch.arange(network.tree.leaves.start, network.tree.leaves.stop)
    new, known = leaves[vectors.row[leaves] < 0], leaves[~vectors.is_new(leaves)]
    if not (len(new) and len(known)):
        return network
    settings, state, weight = dict(network.settings), network.state_dict(), vectors.prefix.weight
    wanted = _similar_means(vectors, new, known, vectors(known))
    settings |= {"owned": len(weight) + len(new), "imputed": len(new)}
    state["vectors.prefix.weight"] = torch.cat([weight, wanted - vectors(new)])
    row = vectors.row.clone()
    row[new] = torch.arange(len(weight), len(weight) + len(new), dtype=torch.int32)
    return network.with_state(settings, state | {"vectors.row": row})


def _similar_means(vectors: NodeVectors, nodes: Tensor, known: Tensor, values: Tensor) -> Tensor:
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
