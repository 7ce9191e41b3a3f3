"""Samples of nodes of a tree, for softmaxes over too many nodes.

Shapes: N items, M nodes of the tree, G parents, S nodes of a sample.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sidkit.models.tree.sid_tree import SidTree

__all__ = ["NodeSampler"]

# Nodes of the first level up to which all of them are compared; of more, as many are drawn.
_FIRST = 4096
# Draws for a parent at most, as a multiple of those for a target.
_MOST = 4


class NodeSampler:
    """Samples of the children of nodes, by popularity and uniformly in equal shares.

    Half of the draws follow the training events, which gives the estimate of a softmax a low variance; the
    other half reaches items without an event. A prefix is drawn in proportion to the Semantic IDs below it.

    Args:
        tree: the Semantic IDs.
        counts: training events of each item, int64 (N,).
        draws: draws at a level for each target, with replacement; repeated nodes are dropped. A level shares
            its draws out evenly over the parents.
    """

    def __init__(self, tree: SidTree, counts: npt.NDArray[np.integer], draws: int) -> None:
        self.draws = draws
        self.start = tree.leaves.start
        mass = np.bincount(tree.leaf.numpy() - self.start, weights=counts, minlength=tree.level_nodes[-1])
        share = 0.5 * mass / max(mass.sum(), 1.0) + 0.5 / len(mass)
        share /= share.sum()
        self._bounds = torch.from_numpy(np.cumsum(share))
        shares = [share]
        parent = tree.parent.numpy()
        for level in range(tree.levels - 1, 0, -1):
            above = tree.level(level - 1)
            place = parent[tree.level(level)] - above.start
            shares.append(np.bincount(place, weights=shares[-1], minlength=above.stop - above.start))
        self._share = torch.from_numpy(np.concatenate(shares[::-1]).astype(np.float32))
        self.tree = tree

    @property
    def compared(self) -> int:
        """Nodes with which a target is compared, over all levels, if no two targets share a prefix."""
        return min(self.tree.level_nodes[0], _FIRST) + (self.tree.levels - 1) * self.draws

    def first(self) -> tuple[Tensor, Tensor | None]:
        """Return the nodes of the first level, or distinct ones of them.

        Returns:
            Nodes, ascending, int64 (S,), and the natural-log probability of each to be in the sample, f32
            (S,); None if all nodes are there.
        """
        nodes = self.tree.level_nodes[0]
        if nodes <= _FIRST:
            return torch.arange(nodes), None
        drawn = self._above(torch.rand(_FIRST, dtype=torch.float64), 0)
        drawn = torch.unique(drawn)
        return drawn, _log_chance(self._share[drawn].double(), _FIRST)

    def children(self, level: int, parents: Tensor, targets: int) -> tuple[Tensor, Tensor]:
        """Return distinct children of nodes; all children of those that have no more than are drawn.

        Args:
            level: level of the children.
            parents: nodes with children, int64 (G,).
            targets: number of targets with one of these parents, which bounds the draws.

        Returns:
            Nodes, int64 (G, K), padded with -1, and the natural-log probability of each to be in the sample,
            f32 (G, K).
        """
        tree = self.tree
        first, counts = tree.first_child[parents].long(), tree.branches[parents].long()
        share = round(self.draws * targets / max(len(parents), 1))
        draws = max(1, min(share, _MOST * self.draws, int(counts.max()) if len(counts) else 1))
        low, high = first, first + counts - 1  # then the leaves below them
        for _ in range(tree.levels - 1 - level):
            low = tree.first_child[low].long()
            high = tree.first_child[high].long() + tree.branches[high].long() - 1
        low, high = low - self.start, high - self.start
        before = torch.where(low > 0, self._bounds[(low - 1).clamp(min=0)], 0.0)
        width = (self._bounds[high] - before)[:, None]  # (G, 1): share of the parent
        drawn = before[:, None] + torch.rand(len(parents), draws, dtype=torch.float64) * width
        last = first + counts - 1
        nodes = self._above(drawn, level).clamp(first[:, None], last[:, None]).sort(-1).values
        chance = _log_chance(self._share[nodes].double() / width, draws)
        nodes[:, 1:] = nodes[:, 1:].masked_fill(nodes[:, 1:] == nodes[:, :-1], -1)
        # All children of a parent that has few.
        place = torch.arange(draws)
        every = torch.where(place < counts[:, None], first[:, None] + place, -1)
        few = (counts <= draws)[:, None]
        return torch.where(few, every, nodes), torch.where(few, 0.0, chance)

    def _above(self, draws: Tensor, level: int) -> Tensor:
        """Return the nodes of a level at some places of the cumulative shares of the leaves."""
        leaves = torch.searchsorted(self._bounds, draws).clamp(max=len(self._bounds) - 1)
        nodes: Tensor = leaves + self.start
        for _ in range(self.tree.levels - 1 - level):
            nodes = self.tree.parent[nodes].long()
        return nodes


def _log_chance(share: Tensor, draws: int) -> Tensor:
    """Return the log-probability that nodes are drawn at least once, f32.

    A node is in none of the draws with probability (1 - share)^draws.
    """
    missed = torch.log1p(-share.clamp(max=1 - 1e-12)) * draws
    chance: Tensor = torch.log(-torch.expm1(missed)).float()
    return chance
