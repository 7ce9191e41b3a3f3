"""New items in a trained tree of Semantic IDs.

What was learned stays as it is. The prefixes that new items bring have no vector, so an item is represented
by its codes, the prefixes that it shares with trained items, and its content.

Shapes: N items before, A new items, M nodes, L levels, F dimensions of content.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sidkit.models.tree.node_vectors import NodeVectors, node_counts
from sidkit.models.tree.sid_tree import SidTree

__all__ = ["Growth", "grow"]


@dataclass(frozen=True)
class Growth:
    """Difference between the vectors of a tree and those of the tree with new items.

    Attributes:
        settings: arguments of `NodeVectors` that change.
        state: buffers that change, by name.
        place: new number of every former node, int64 (M before,).
        changed: nodes on the paths of new items, ascending, int64 (n,); all others keep their vectors.
    """

    settings: dict[str, Any]
    state: dict[str, Tensor]
    place: Tensor
    changed: Tensor


def grow(
    vectors: NodeVectors, tokens: npt.NDArray[np.integer], content: npt.NDArray[np.floating[Any]] | None
) -> Growth:
    """Add items to a tree.

    Args:
        vectors: trained vectors of nodes.
        tokens: Semantic ID of every item, the new ones last, (N + A, L).
        content: content vectors of the new items, f16 or f32 (A, F), if the tree has content.
    """
    former, tree = vectors.tree, SidTree.of(tokens)
    place = _places(former, tree)
    paths = tree.paths(tree.leaf[len(former.leaf) :].long())  # (A, L)
    row = torch.full((tree.starts[-1],), -1, dtype=torch.int32)
    row[place] = vectors.row if vectors.mapped else torch.arange(len(place), dtype=torch.int32)
    state = {f"tree.{name}": value for name, value in tree.state_dict().items()} | {"row": row}
    settings: dict[str, Any] = {
        "level_nodes": tree.level_nodes,
        "items": len(tokens),
        "owned": None if vectors.hashed else len(vectors.prefix.weight),
    }
    if vectors.project is not None and content is not None:
        settings["shared_content"], found = _content(vectors, tree, paths, place, content)
        state |= found
    return Growth(settings, state, place, torch.unique(paths))


def _places(former: SidTree, tree: SidTree) -> Tensor:
    """Return the number of every former node in a tree with more items, int64 (M before,)."""
    place = torch.empty(former.starts[-1], dtype=torch.int64)
    place[former.leaf] = tree.leaf[: len(former.leaf)].long()
    for level in range(former.levels - 1, 0, -1):
        nodes = former.level(level)
        place[former.parent[nodes]] = tree.parent[place[nodes]].long()
    return place


def _content(
    vectors: NodeVectors,
    tree: SidTree,
    paths: Tensor,
    place: Tensor,
    content: npt.NDArray[np.floating[Any]],
) -> tuple[int, dict[str, Tensor]]:
    """Append the content of new items to the stored means, and update the means of their prefixes.

    Args:
        vectors: vectors of the former tree.
        tree: the tree with new items.
        paths: path of each new item, int64 (A, L).
        place: new number of every former node, int64 (M before,).
        content: content of the new items, (A, F).

    Returns:
        Number of stored means, and the buffers that change.
    """
    stored, means = len(vectors.content), vectors.means
    added = len(content)
    new = torch.from_numpy(np.ascontiguousarray(content)).to(means.dtype)  # (A, F)
    row = torch.full((tree.starts[-1],), -1, dtype=torch.int32)
    row[place] = vectors.content_row
    first = stored + len(means)
    own = torch.arange(first, first + added, dtype=torch.int32)
    counts = torch.from_numpy(node_counts(tree))
    touched, which, new_items = torch.unique(paths, return_inverse=True, return_counts=True)
    former = counts[touched] - new_items  # (n,): items under them before
    several_at = counts[touched] > 1
    several, former = touched[several_at], former[several_at]
    # Sums over the items of nodes with several, old and new.
    at = several_at.cumsum(0) - 1
    position = torch.where(several_at, at, -1)[which]  # (A, L), -1 for nodes with one item
    sums = torch.zeros(len(several), new.shape[1])
    old = (former > 0).nonzero()[:, 0]
    sums[old] = vectors.raw_content(row[several[old]].long()) * former[old, None]
    for level in range(paths.shape[1]):
        rows = (position[:, level] >= 0).nonzero()[:, 0]
        sums.index_add_(0, position[rows, level], new[rows].float())
    # A node that had several items keeps its row; one that had none or one gets a new row.
    fresh = former <= 1
    home = row[several].long() - stored
    home[fresh] = len(means) + added + torch.arange(int(fresh.sum()))
    grown = torch.empty(len(means) + added + int(fresh.sum()), new.shape[1], dtype=means.dtype)
    grown[: len(means)], grown[len(means) : len(means) + added] = means, new
    grown[home] = (sums / counts[several, None]).to(means.dtype)
    alone = counts[paths] == 1
    row[paths[alone]] = own[:, None].expand_as(paths)[alone]
    row[several] = (stored + home).int()
    return len(grown), {"means": grown, "content_row": row}
