"""Samples of nodes of a tree, for softmaxes over too many nodes.

Shapes: N items, M nodes of the tree, S nodes in a sample.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sidkit.models.tree.sid_tree import SidTree

__all__ = ["NodeSampler"]


class NodeSampler:
    """Samples of the nodes of each level, by popularity and uniformly in equal shares.

    Half of the draws follow the training events, which gives the estimate of a softmax a low variance; the
    other half reaches items without an event. A prefix is drawn in proportion to the Semantic IDs below it.

    Args:
        tree: the Semantic IDs.
        counts: training events of each item, int64 (N,).
        draws: draws of each sample, with replacement.
    """

    def __init__(self, tree: SidTree, counts: npt.NDArray[np.integer], draws: int) -> None:
        self.draws = draws
        self.start = tree.leaves.start
        mass = np.bincount(tree.leaf.numpy() - self.start, weights=counts, minlength=tree.level_nodes[-1])
        share = 0.5 * mass / max(mass.sum(), 1.0) + 0.5 / len(mass)
        self._bounds = torch.from_numpy(np.cumsum(share / share.sum()))
        shares = [share]
        parent = tree.parent.numpy()
        for level in range(tree.levels - 1, 0, -1):
            above = tree.level(level - 1)
            place = parent[tree.level(level)] - above.start
            shares.append(np.bincount(place, weights=shares[-1], minlength=above.stop - above.start))
        self._share = torch.from_numpy(np.concatenate(shares[::-1]).astype(np.float32))
        self._tree = tree

    def sample(self, level: int, draws: int | None = None) -> tuple[Tensor, Tensor]:
        """Draw distinct nodes of a level.

        Args:
            level: the level.
            draws: number of draws; `self.draws` if None. Repeated nodes are dropped.

        Returns:
            Nodes, int64 (S,), and the log-probability of each to be in the sample, f32 (S,).
        """
        count = self.draws if draws is None else draws
        drawn = torch.searchsorted(self._bounds, torch.rand(count, dtype=torch.float64))
        nodes = drawn.clamp(max=len(self._bounds) - 1) + self.start
        for _ in range(self._tree.levels - 1 - level):
            nodes = self._tree.parent[nodes].long()
        nodes = torch.unique(nodes)
        # A node is in none of the draws with probability (1 - share)^draws.
        missed = torch.log1p(-self._share[nodes].double().clamp(max=1 - 1e-12)) * count
        return nodes, torch.log(-torch.expm1(missed)).float()
