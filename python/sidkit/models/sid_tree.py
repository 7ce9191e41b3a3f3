"""Tree of all Semantic IDs as tensors, with a node for every prefix that occurs.

Shapes: N items, L levels, M nodes of all levels together.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sidkit.errors import ConfigError, DataError
from sidkit.models.reductions import group_log_sums

__all__ = ["RQState", "SidTree", "check_normalization"]


class SidTree(nn.Module):
    """Nodes ordered by level, and within a level by prefix, so siblings are adjacent and a level is a slice.

    Args:
        level_nodes: number of nodes of each level.
        items: number of items.

    Attributes:
        path: node of every prefix of every item, int64 (N, L).
        token: last token of each node's prefix, int64 (M,).
        parent: node one token shorter, int64 (M,); -1 at the first level.
        first_child: first child of each node, int64 (M,); undefined where there is none.
        branches: number of children of each node, int64 (M,); 0 at the last level.
        starts: first node of each level, and M: L + 1 numbers.
    """

    path: Tensor
    token: Tensor
    parent: Tensor
    first_child: Tensor
    branches: Tensor

    def __init__(self, level_nodes: Sequence[int], items: int) -> None:
        super().__init__()
        self.starts = [0, *np.cumsum(level_nodes).tolist()]
        nodes = self.starts[-1]
        self.register_buffer("path", torch.zeros(items, len(level_nodes), dtype=torch.int64))
        for name in ("token", "parent", "first_child", "branches"):
            self.register_buffer(name, torch.zeros(nodes, dtype=torch.int64))

    @classmethod
    def of(cls, tokens: npt.NDArray[np.integer]) -> "SidTree":
        """Build the tree of the tokens (N, L) of all items.

        Raises:
            DataError: if there is no item or no level.
        """
        if tokens.ndim != 2 or 0 in tokens.shape:
            raise DataError(f"`tokens` must be (items, levels) with at least one of each, got {tokens.shape}")
        items, levels = tokens.shape
        order = np.lexsort(tokens.T[::-1])
        ordered = tokens[order].astype(np.int64)
        begins = np.ones((items, levels), bool)  # where a prefix differs from that of the item before
        begins[1:] = np.logical_or.accumulate(ordered[1:] != ordered[:-1], axis=1)
        tree = cls(begins.sum(0).tolist(), items)
        starts = np.array(tree.starts)
        within = begins.cumsum(0) - 1  # (N, L): number of the node within its level
        path = np.empty((items, levels), np.int64)
        path[order] = within + starts[:-1]
        first = [np.flatnonzero(begins[:, level]) for level in range(levels)]  # an item under each node
        parent = [np.full(len(first[0]), -1)]
        parent += [within[first[level], level - 1] + starts[level - 1] for level in range(1, levels)]
        parents = np.concatenate(parent)
        children = np.bincount(parents[starts[1] :], minlength=starts[-1])
        tree.path.copy_(torch.from_numpy(path))
        tree.token.copy_(torch.from_numpy(np.concatenate([ordered[f, lv] for lv, f in enumerate(first)])))
        tree.parent.copy_(torch.from_numpy(parents))
        tree.branches.copy_(torch.from_numpy(children))
        # Children come in the order of their parents, after the first level.
        tree.first_child.copy_(torch.from_numpy(starts[1] + np.cumsum(children) - children))
        return tree

    @property
    def level_nodes(self) -> list[int]:
        """Number of nodes of each level."""
        return [stop - start for start, stop in zip(self.starts, self.starts[1:], strict=False)]

    def level(self, level: int) -> slice:
        """Return the nodes of a level."""
        return slice(self.starts[level], self.starts[level + 1])

    def log_masses(self, scores: Tensor) -> Tensor:
        """Return the log of the summed exponential scores of the Semantic IDs under every prefix, f32 (M, B).

        The probability of a child among its siblings, normalized over the tree, is its share of the mass.

        Args:
            scores: score of every node, (M, B); that of a Semantic ID is the sum over its prefixes.
        """
        scores, last = scores.float(), len(self.starts) - 2
        sums = scores[self.level(0)]  # from the root to each prefix, (M_level, B)
        for level in range(1, last + 1):
            nodes, above = self.level(level), self.level(level - 1)
            sums = sums.index_select(0, self.parent[nodes] - above.start) + scores[nodes]
        masses = [sums]
        for level in range(last, 0, -1):
            masses.append(group_log_sums(masses[-1], self.branches[self.level(level - 1)]))
        return torch.cat(masses[::-1])

    def siblings(self, parents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """List the children of some nodes one after the other.

        Args:
            parents: nodes, int64 (P,); one may occur several times.

        Returns:
            `row`, index of the parent, `place`, number of the child from 0, and `node`, the child; int64 (R,)
            each, where R is the number of children of all parents.
        """
        counts = self.branches[parents]
        row = torch.repeat_interleave(torch.arange(len(parents), device=parents.device), counts)
        place = torch.arange(len(row), device=parents.device) - (counts.cumsum(0) - counts)[row]
        return row, place, self.first_child[parents][row] + place


class RQState:
    """Incremental decoding state of `RQTransformerNetwork`.

    Attributes:
        hidden: vector at the end of each history, f32 (B, D).
        prefixes: vectors of all prefixes, f32 (M, D).
        masses: `SidTree.log_masses` where Semantic IDs are normalized over the tree, f32 (M, B).
        level: level of the next token.
        child: node that each token leads to, int64 (B·W, K); -1 where there is none.
    """

    def __init__(self, hidden: Tensor, prefixes: Tensor, masses: Tensor | None = None) -> None:
        self.hidden = hidden
        self.prefixes = prefixes
        self.masses = masses
        self.level = 0
        self.child = torch.empty(0, 0, dtype=torch.int64)


def check_normalization(normalization: str, dense: bool) -> None:
    """Check that the normalization exists, and that `tree` is not combined with `dense`.

    Raises:
        ConfigError: if not.
    """
    if normalization not in ("level", "tree"):
        raise ConfigError(f"`normalization` must be `level` or `tree`, got {normalization!r}")
    if normalization == "tree" and dense:
        raise ConfigError("`tree` normalization is a softmax over all items already: set `dense` to False")
