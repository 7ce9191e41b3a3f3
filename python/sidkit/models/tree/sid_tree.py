"""Tree of all Semantic IDs as tensors, with a node for every prefix that occurs.

Shapes: N items, L levels, M nodes of all levels together.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sidkit.errors import DataError
from sidkit.models.layers.reductions import group_log_sums

__all__ = ["SidTree"]


class SidTree(nn.Module):
    """Nodes ordered by level, and within a level by prefix, so siblings are adjacent and a level is a slice.

    Args:
        level_nodes: number of nodes of each level.
        items: number of items.

    Attributes:
        leaf: node of every item's Semantic ID, int32 (N,).
        token: last token of each node's prefix, int32 (M,).
        parent: node one token shorter, int32 (M,); -1 at the first level.
        first_child: first child of each node, int32 (M,); undefined where there is none.
        branches: number of children of each node, int32 (M,); 0 at the last level.
        starts: first node of each level, and M: L + 1 numbers.
    """

    leaf: Tensor
    token: Tensor
    parent: Tensor
    first_child: Tensor
    branches: Tensor

    def __init__(self, level_nodes: Sequence[int], items: int) -> None:
        super().__init__()
        self.starts = [0, *np.cumsum(level_nodes).tolist()]
        nodes = self.starts[-1]
        self.register_buffer("leaf", torch.zeros(items, dtype=torch.int32))
        for name in ("token", "parent", "first_child", "branches"):
            self.register_buffer(name, torch.zeros(nodes, dtype=torch.int32))

    @classmethod
    def of(cls, tokens: npt.NDArray[np.integer]) -> "SidTree":
        """Build the tree of the tokens (N, L) of all items.

        Raises:
            DataError: if there is no item or no level.
        """
        if tokens.ndim != 2 or 0 in tokens.shape:
            raise DataError(f"`tokens` must be (items, levels) with at least one of each, got {tokens.shape}")
        items, levels = tokens.shape
        order = _prefix_order(tokens)
        begins = np.zeros(items, bool)  # where a prefix differs from that of the item before
        begins[0] = True
        level_nodes, parts, above = [], [], np.zeros(items, np.int32)
        start = 0
        for level in range(levels):
            column = tokens[order, level]
            begins[1:] |= column[1:] != column[:-1]
            first = np.flatnonzero(begins)  # an item under each node
            parent = above[first] if level else np.full(len(first), -1, np.int32)
            above = (begins.cumsum() - 1 + start).astype(np.int32)  # (N,): node of each item
            parts.append((column[first].astype(np.int32), parent))
            level_nodes.append(len(first))
            start += len(first)
        tree = cls(level_nodes, items)
        leaf = np.empty(items, np.int32)
        leaf[order] = above
        parents = np.concatenate([parent for _, parent in parts])
        children = np.bincount(parents[level_nodes[0] :], minlength=start).astype(np.int32)
        tree.leaf.copy_(torch.from_numpy(leaf))
        tree.token.copy_(torch.from_numpy(np.concatenate([token for token, _ in parts])))
        tree.parent.copy_(torch.from_numpy(parents))
        tree.branches.copy_(torch.from_numpy(children))
        # Children come in the order of their parents, after the first level.
        first_child = level_nodes[0] + np.cumsum(children, dtype=np.int64) - children
        tree.first_child.copy_(torch.from_numpy(first_child.astype(np.int32)))
        return tree

    def check(self, sizes: Sequence[int]) -> None:
        """Check that the tensors are those of a tree.

        Args:
            sizes: number of tokens of each level.

        Raises:
            DataError: if they are not.
        """
        token, parent = self.token.cpu().numpy(), self.parent.cpu().numpy()
        leaf, branches = self.leaf.cpu().numpy(), self.branches.cpu().numpy()
        good = len(sizes) == self.levels and all(self.level_nodes) and _within(leaf, self.leaves)
        for level, size in enumerate(sizes if good else ()):
            nodes = self.level(level)
            above = slice(-1, 0) if level == 0 else self.level(level - 1)
            good = good and _within(token[nodes], slice(0, size)) and _within(parent[nodes], above)
            good = good and bool((np.diff(parent[nodes]) >= 0).all())
        if good:
            children = np.bincount(parent[self.starts[1] :], minlength=self.starts[-1])
            first = self.starts[1] + np.cumsum(children) - children
            inner = children > 0
            good = np.array_equal(children, branches) and bool(inner[: self.leaves.start].all())
            good = good and np.array_equal(first[inner], self.first_child.cpu().numpy()[inner])
        if not good:
            raise DataError(
                "the tensors of the Semantic IDs are damaged: expected a tree of nodes ordered by prefix, "
                "got other numbers"
            )

    @property
    def levels(self) -> int:
        """Number of levels."""
        return len(self.starts) - 1

    @property
    def level_nodes(self) -> list[int]:
        """Number of nodes of each level."""
        return [stop - start for start, stop in zip(self.starts, self.starts[1:], strict=False)]

    def level(self, level: int) -> slice:
        """Return the nodes of a level, which may be counted from the end."""
        level %= self.levels
        return slice(self.starts[level], self.starts[level + 1])

    @property
    def leaves(self) -> slice:
        """Nodes of whole Semantic IDs."""
        return self.level(-1)

    def paths(self, nodes: Tensor) -> Tensor:
        """Return each node, its parent, and so on to the first level, padded with -1.

        Args:
            nodes: int64 (n,); -1 has a path of -1 only.

        Returns:
            int64 (n, L).
        """
        steps = [nodes]
        for _ in range(self.levels - 1):
            nodes = torch.where(nodes >= 0, self.parent[nodes.clamp(min=0)].long(), -1)
            steps.append(nodes)
        return torch.stack(steps, -1)

    def item_paths(self) -> Tensor:
        """Return the node of every prefix of every item, first level first, int64 (N, L)."""
        return self.paths(self.leaf.long()).flip(-1)

    def lone_leaves(self) -> Tensor:
        """Return the leaf below each node that has only one, and the node itself elsewhere, int64 (M,)."""
        lone = torch.arange(self.starts[-1], device=self.parent.device)
        for level in range(self.levels - 2, -1, -1):
            nodes = self.level(level)
            only = self.first_child[nodes].long().clamp(max=self.starts[-1] - 1)
            below = lone[only]
            single = (self.branches[nodes] == 1) & (below >= self.leaves.start)
            lone[nodes] = torch.where(single, below, lone[nodes])
        return lone

    def log_masses(self, leaf_scores: Tensor) -> Tensor:
        """Return the log of the summed exponential scores of the Semantic IDs under every prefix, f32 (M, B).

        The probability of a child among its siblings is its share of the mass of their parent.

        Args:
            leaf_scores: score of every Semantic ID, (M_last, B).
        """
        masses = [leaf_scores.float()]
        for level in range(self.levels - 1, 0, -1):
            masses.append(group_log_sums(masses[-1], self.branches[self.level(level - 1)].long()))
        return torch.cat(masses[::-1])

    def children_of(self, parents: Tensor) -> tuple[Tensor, Tensor]:
        """List the children of some nodes one after the other.

        Args:
            parents: nodes, int64 (P,); one may occur several times.

        Returns:
            `row`, index of the parent, and `node`, the child; int64 (R,) each, where R is the number of
            children of all parents.
        """
        counts = self.branches[parents].long()
        row = torch.repeat_interleave(torch.arange(len(parents), device=parents.device), counts)
        place = torch.arange(len(row), device=parents.device) - (counts.cumsum(0) - counts)[row]
        return row, self.first_child[parents[row]] + place


def _within(numbers: npt.NDArray[np.integer], nodes: slice) -> bool:
    return not len(numbers) or bool(nodes.start <= numbers.min() and numbers.max() < nodes.stop)


def _prefix_order(tokens: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Return the order of items by Semantic ID; stable."""
    widths = [int(tokens[:, level].max()) + 1 for level in range(tokens.shape[1])]
    if np.prod([float(width) for width in widths]) >= 2.0**63:
        return np.lexsort(tokens.T[::-1])
    key = np.zeros(len(tokens), np.int64)
    for level, width in enumerate(widths):
        key *= width
        key += tokens[:, level]
    return np.argsort(key, kind="stable")
