"""Token by token through the tree of Semantic IDs: the decoding of `RQTransformerNetwork`.

Shapes: B users, W beams, n nodes, M nodes of the tree, D = d_model, K_l tokens of level l.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sidkit.models.layers.reductions import group_log_sums
from sidkit.models.tree.growth import Growth
from sidkit.models.tree.node_vectors import NodeVectors
from sidkit.models.tree.sid_tree import SidTree

__all__ = ["TreeState", "TreeVectors", "advance", "leaf_log_probs"]

# Nodes whose vectors are computed at once: 64 MiB of f32 at 256 dimensions.
_BLOCK = 65_536
# Levels with more nodes are not kept: their vectors are computed for the children of live beams only.
_KEPT_NODES = 2**21
# Children per beam from which one matrix product per prefix is faster than inner products of pairs.
_FEW_CHILDREN = 24


class TreeVectors:
    """Vectors of nodes for decoding: those of small levels are computed once, others when they are needed.

    Args:
        vectors: vectors of nodes.
        sample_above: nodes up to which a level is kept in f32; larger ones are kept in f16, or not at all.

    Attributes:
        new_item_bias: added to the scores of Semantic IDs without a vector of their own, and of prefixes
            under which there are no others.
    """

    def __init__(self, vectors: NodeVectors, sample_above: int) -> None:
        self.new_item_bias = 0.0
        self.vectors = vectors
        self.tree = vectors.tree
        self._sample_above = sample_above
        self._levels: dict[int, Tensor] = {}
        # Vectors of large levels of a former tree, and the row of each node in them, -1 where there is none.
        self._former: dict[int, tuple[Tensor, Tensor]] = {}
        self._keys: dict[int, Tensor] = {}

    def level(self, level: int) -> Tensor | None:
        """Return the vectors of all nodes of a level, (M_level, D); None if there are too many of them."""
        nodes = self.tree.level(level)
        if level in self._former or nodes.stop - nodes.start > max(_KEPT_NODES, self._sample_above):
            return None
        if level not in self._levels:
            small = nodes.stop - nodes.start <= self._sample_above
            parts = [
                self._computed(torch.arange(start, min(start + _BLOCK, nodes.stop)))
                for start in range(nodes.start, nodes.stop, _BLOCK)
            ]
            self._levels[level] = torch.cat([part if small else part.half() for part in parts])
        return self._levels[level]

    def bias(self, nodes: Tensor) -> Tensor | None:
        """Return the biases of the scores of nodes, f32 (n,); None if all are zero."""
        if not self.new_item_bias or not self.vectors.mapped:
            return None
        return self.vectors.is_new(self.vectors.lone_leaves[nodes]).float() * self.new_item_bias

    def of_leaves(self, leaves: Tensor) -> Tensor:
        """Return the vectors of whole Semantic IDs, f32 (n, D)."""
        nodes = self.tree.leaves
        if nodes.stop - nodes.start > self._sample_above:
            distinct, place = torch.unique(leaves, return_inverse=True)
            return self._computed(distinct)[place]
        kept = self.level(self.tree.levels - 1)
        assert kept is not None
        return kept.index_select(0, leaves - nodes.start)

    def children(self, level: int, parents: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors among which are those of the children of some nodes, and where they begin.

        Args:
            level: level of the children.
            parents: distinct nodes, int64 (n,).

        Returns:
            Vectors f32 or f16 (m, D), and the row of the first child of each parent, int64 (n,).
        """
        kept = self.level(level)
        if kept is not None:
            return kept, self.tree.first_child[parents].long() - self.tree.starts[level]
        counts = self.tree.branches[parents].long()
        return self._gathered(level, self.tree.children_of(parents)[1]), counts.cumsum(0) - counts

    def find(self, level: int, parents: Tensor, tokens: Tensor) -> Tensor:
        """Return the child of each parent with a token, int64 (n,); -1 where there is none."""
        size = self.vectors.sizes[level]
        nodes = self.tree.level(level)
        if level not in self._keys:
            above = self.tree.parent[nodes].long() if level else torch.zeros(nodes.stop, dtype=torch.int64)
            self._keys[level] = above.to(self.tree.token.device) * size + self.tree.token[nodes]
        keys = self._keys[level]
        wanted = (parents if level else torch.zeros_like(tokens)) * size + tokens
        at = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
        found = (keys[at] == wanted) & (parents >= 0)
        return torch.where(found, at + nodes.start, -1)

    def grown(self, vectors: NodeVectors, sample_above: int, growth: Growth) -> "TreeVectors":
        """Return the vectors of the tree with new items.

        Those of a large level stay where they are, and those of new items are computed when they are needed.

        Args:
            vectors: vectors of the nodes with new items.
            sample_above: see the class.
            growth: difference between the trees.
        """
        other = TreeVectors(vectors, sample_above)
        kept = {level: (former, None) for level, former in self._levels.items()}
        for level, (former, row) in (kept | self._former).items():
            nodes, old = other.tree.level(level), self.tree.level(level)
            place = growth.place[old] - nodes.start
            first, last = torch.searchsorted(growth.changed, torch.tensor([nodes.start, nodes.stop])).tolist()
            changed = growth.changed[first:last]
            if nodes.stop - nodes.start > sample_above:
                rows = torch.full((nodes.stop - nodes.start,), -1, dtype=torch.int32)
                rows[place] = torch.arange(len(place), dtype=torch.int32) if row is None else row
                rows[changed - nodes.start] = -1
                other._former[level] = former, rows
            else:
                found = torch.empty(nodes.stop - nodes.start, former.shape[1])
                found[place] = former.float()
                for some in torch.split(changed, _BLOCK):
                    found[some - nodes.start] = other._computed(some)
                other._levels[level] = found
        return other

    def _gathered(self, level: int, nodes: Tensor) -> Tensor:
        """Return vectors of nodes of a level, f32 (n, D): those that are there, and others computed."""
        if level not in self._former:
            return self._computed(nodes)
        former, rows = self._former[level]
        row = rows[nodes - self.tree.starts[level]].long()
        found = former.index_select(0, row.clamp(min=0)).float()
        missing = row < 0
        found[missing] = self._computed(nodes[missing])
        return found

    def _computed(self, nodes: Tensor) -> Tensor:
        nodes = nodes.to(self.tree.leaf.device)
        found: Tensor = self.vectors(self.vectors.lone_leaves[nodes])
        return found


class TreeState:
    """Incremental decoding state.

    Attributes:
        hidden: vector at the end of each history, f32 (B, D).
        vectors: vectors of nodes.
        masses: `SidTree.log_masses` of all nodes, f32 (M, B), if all Semantic IDs are scored; None otherwise.
        level: level of the next token.
        at: node of each row, int64 (B·W,); -1 for none.
    """

    def __init__(self, hidden: Tensor, vectors: TreeVectors, masses: Tensor | None) -> None:
        self.hidden = hidden
        self.vectors = vectors
        self.masses = masses
        self.level = 0
        self.at = torch.full((len(hidden),), 0, device=hidden.device)

    @classmethod
    def of(cls, vectors: TreeVectors, hidden: Tensor, exact: bool) -> "TreeState":
        """Prepare to decode after histories whose vectors are `hidden`, f32 (B, D)."""
        masses = None
        if exact:
            leaves = vectors.level(vectors.tree.levels - 1)
            assert leaves is not None
            scores, bias = leaves @ hidden.T, vectors.bias(_nodes(vectors.tree, -1))
            masses = vectors.tree.log_masses(scores if bias is None else scores + bias[:, None])
        return cls(hidden, vectors, masses)


def advance(state: TreeState, sizes: Sequence[int], parents: Tensor | None, tokens: Tensor | None) -> Tensor:
    """Return log-probabilities of the next token for every beam, and advance the state by one level.

    See `RQTransformerNetwork.next_log_probs`. Without masses, the probability of a prefix is passed on to its
    children by the softmax of their scores.
    """
    tree, level = state.vectors.tree, state.level
    users, device = len(state.hidden), state.hidden.device
    if parents is None or tokens is None:
        nodes = tree.level(0)
        if state.masses is None:
            first = state.vectors.level(0)
            assert first is not None
            scores = _scores(state.vectors, state.hidden, 0, first)
        else:
            scores = state.masses[nodes].T
        table = scores.new_full((users, sizes[0]), -torch.inf)
        table[:, tree.token[nodes].long()] = scores.log_softmax(-1)
    else:
        repeated = _padding(parents, tokens, len(state.at) // users, users)
        state.at = state.vectors.find(level - 1, state.at[parents], tokens).masked_fill(repeated, -1)
        rows = len(state.at)
        user = torch.arange(users, device=device).repeat_interleave(rows // users)
        table = state.hidden.new_full((rows, sizes[level]), -torch.inf)
        alive = (state.at >= 0).nonzero()[:, 0]
        if state.masses is None:
            _fill(table, state, user, alive)
        else:
            row, node = tree.children_of(state.at[alive])
            row = alive[row]
            # The mass under a prefix is that under its children, so the table is normalized.
            table[row, tree.token[node].long()] = (
                state.masses[node, user[row]] - state.masses[state.at[row], user[row]]
            )
    state.level += 1
    return table


def leaf_log_probs(vectors: TreeVectors, hidden: Tensor, exact: bool) -> Tensor | None:
    """Return log-probabilities of all Semantic IDs, f32 (B, M_last); None if there are too many.

    Args:
        vectors: vectors of nodes.
        hidden: vector at the end of each history, f32 (B, D).
        exact: whether there is one softmax over all of them, and not one for each prefix.
    """
    tree = vectors.tree
    if exact:
        leaves = vectors.level(tree.levels - 1)
        return None if leaves is None else _scores(vectors, hidden, tree.levels - 1, leaves).log_softmax(-1)
    found = hidden.new_zeros(1, len(hidden))  # (M_level, B)
    for level in range(tree.levels):
        nodes = vectors.level(level)
        if nodes is None:
            return None
        scores = _scores(vectors, hidden, level, nodes).T
        branches = (
            tree.branches[tree.level(level - 1)].long() if level else tree.parent.new_tensor([len(nodes)])
        )
        parent = torch.repeat_interleave(branches.long())
        found = (found - group_log_sums(scores, branches.long()))[parent] + scores
    return found.T


def _scores(vectors: TreeVectors, hidden: Tensor, level: int, nodes: Tensor) -> Tensor:
    """Return the scores of all nodes of a level, f32 (B, M_level)."""
    return F.linear(hidden, nodes.float(), vectors.bias(_nodes(vectors.tree, level)))


def _fill(table: Tensor, state: TreeState, user: Tensor, alive: Tensor) -> None:
    """Write the log-probabilities of the children of live rows into a table (B·W, K) of -inf."""
    tree, level = state.vectors.tree, state.level
    distinct, which, rows = torch.unique(state.at[alive], return_inverse=True, return_counts=True)
    vectors, begin = state.vectors.children(level, distinct)
    counts = tree.branches[distinct].long()
    if int(counts.sum()) < _FEW_CHILDREN * max(len(distinct), 1):
        row, node = tree.children_of(state.at[alive])
        place = node - tree.first_child[distinct].long()[which[row]] + begin[which[row]]
        row = alive[row]
        scores = (state.hidden.index_select(0, user[row]) * vectors.index_select(0, place).float()).sum(-1)
        bias = state.vectors.bias(node)
        if bias is not None:
            scores += bias
        table[row, tree.token[node].long()] = scores - _log_sums(row, scores, len(table))[row]
        return
    order = torch.argsort(which, stable=True)
    groups = torch.split(alive[order], rows.tolist())
    firsts = tree.first_child[distinct].tolist()
    for group, first, start, count in zip(groups, firsts, begin.tolist(), counts.tolist(), strict=True):
        bias = state.vectors.bias(torch.arange(first, first + count))
        scores = F.linear(state.hidden[user[group]], vectors[start : start + count].float(), bias)
        table[group[:, None], tree.token[first : first + count].long()] = scores.log_softmax(-1)


def _log_sums(row: Tensor, scores: Tensor, rows: int) -> Tensor:
    """Return the log of the summed exponential scores of each row, f32 (rows,); -inf without scores."""
    most = scores.new_full((rows,), -torch.inf).scatter_reduce(0, row, scores, "amax")
    raised = torch.zeros_like(most).index_add_(0, row, (scores - most[row]).exp())
    return torch.where(raised > 0, most + raised.log(), most)


def _nodes(tree: SidTree, level: int) -> Tensor:
    """Return the nodes of a level, int64 (M_level,)."""
    nodes = tree.level(level)
    return torch.arange(nodes.start, nodes.stop, device=tree.leaf.device)


def _padding(parents: Tensor, tokens: Tensor, width: int, users: int) -> Tensor:
    """Find the rows that `Trie.beam_step` has added to fill a beam, bool (B·W,).

    They have the first former row of the user, of `width` rows, as parent, and token 0; so has at most one
    live row, which comes before them.
    """
    firsts = torch.arange(users, device=parents.device)[:, None] * width  # (B, 1)
    same = (parents.view(users, -1) == firsts) & (tokens.view(users, -1) == 0)
    return (same & (same.cumsum(1) > 1)).flatten()
