"""Estimates of softmaxes over the children of prefixes, from a sample of the children.

Shapes: P positions, R positions whose target has siblings at a level, G distinct parents, K draws of each,
S nodes of the first level, L levels, D = d_model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sidkit.models.layers.gathered import gathered_products
from sidkit.models.layers.softmax import softmax_loss
from sidkit.models.tree.node_sampler import NodeSampler

__all__ = ["SiblingSample"]


@dataclass(frozen=True)
class SiblingSample:
    """Nodes with which the targets of a training step are compared, level by level.

    Attributes:
        goals: path of each target, first level first, int64 (P, L).
        first: nodes of the first level, ascending, int64 (S,).
        first_chance: natural-log probability of each to be in the sample, f32 (S,); None if all are there.
        rows: positions whose target has siblings at each level from the second on, int64 (R,) each.
        groups: parent of each of them, among the distinct ones of the level, int64 (R,) each.
        siblings: sampled children of each parent, int64 (G, K) each, padded with -1.
        chances: natural-log probability of each to be in the sample, f32 (G, K) each.
    """

    goals: Tensor
    first: Tensor
    first_chance: Tensor | None
    rows: list[Tensor]
    groups: list[Tensor]
    siblings: list[Tensor]
    chances: list[Tensor]

    @classmethod
    def draw(cls, sampler: NodeSampler, goals: Tensor) -> "SiblingSample":
        """Draw a sample for targets whose paths are `goals`, int64 (P, L)."""
        device, tree = goals.device, sampler.tree
        first, first_chance = sampler.first()
        sample = cls(
            goals,
            first.to(device),
            None if first_chance is None else first_chance.to(device),
            [],
            [],
            [],
            [],
        )
        for level in range(1, tree.levels):
            parents, group = torch.unique(goals[:, level - 1], return_inverse=True)
            several = tree.branches.to(device)[parents] > 1  # an only child is certain
            row = several[group].nonzero()[:, 0]
            nodes, chance = sampler.children(level, parents[several].cpu(), len(row))
            sample.rows.append(row)
            sample.groups.append((several.cumsum(0) - 1)[group[row]])
            sample.siblings.append(nodes.to(device))
            sample.chances.append(chance.to(device))
        return sample

    @property
    def nodes(self) -> list[Tensor]:
        """Nodes whose vectors `losses` needs: the paths of the targets, the first level, and the siblings."""
        return [self.goals, self.first, *self.siblings]

    def losses(self, h: Tensor, vectors: Tensor, places: Sequence[Tensor]) -> Tensor:
        """Return the summed cross-entropy of each token of the targets, with log-q correction, f32 (L,).

        Args:
            h: vector of each position, f32 (P, D).
            vectors: vectors of distinct nodes, (n, D).
            places: row of `vectors` of each of `nodes`, int64 of the same shapes.
        """
        own, first, *siblings = places
        columns, goal = nn.functional.embedding(first, vectors), nn.functional.embedding(own[:, 0], vectors)
        found = [self._first_loss(h, goal, columns)]
        groups = zip(siblings, self.rows, self.groups, strict=True)
        # The target comes first in each row of K + 1 products.
        compared = [
            (row, torch.cat([own[row, level, None], others[group]], 1))
            for level, (others, row, group) in enumerate(groups, 1)
        ]
        for level, scores in enumerate(gathered_products(h, vectors, compared), 1):
            group = self.groups[level - 1]
            nodes, chance = self.siblings[level - 1][group], self.chances[level - 1][group]  # (R, K)
            goal = self.goals[self.rows[level - 1], level, None]
            others = (scores[:, 1:] - chance).masked_fill((nodes < 0) | (nodes == goal), -torch.inf)
            positive = scores[:, :1]
            found.append((torch.cat([positive, others], 1).logsumexp(-1, keepdim=True) - positive).sum())
        return torch.stack(found)

    def _first_loss(self, h: Tensor, own: Tensor, others: Tensor) -> Tensor:
        """Return the loss of the first tokens.

        Args:
            h: vector of each position, f32 (P, D).
            own: vector of the node of each target, (P, D).
            others: vectors of the nodes with which it is compared, (S, D).
        """
        goal = self.goals[:, 0].contiguous()
        if self.first_chance is None:
            return softmax_loss(h, others, goal)
        at = torch.searchsorted(self.first, goal).clamp(max=len(self.first) - 1)
        at = torch.where(self.first[at] == goal, at, -1)
        positive = (h * own).sum(-1)
        return softmax_loss(h, others, at, offset=-self.first_chance, positive=positive)
