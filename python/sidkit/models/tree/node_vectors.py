"""Vectors of prefixes and of whole Semantic IDs, computed for the nodes that are needed and no others.

The vector of a node is

    sum over its prefixes of (vector of the last token + vector of the prefix) + projected content

The vectors of prefixes correspond to prefix n-grams in a ranking model (Zheng et al., arXiv 2504.02137):
there is one per prefix as long as the table has enough rows; beyond, prefixes are hashed into it. Content is
the mean content vector of the items under the node, so a Semantic ID that no training event holds has a
vector, too: prefixes without a vector of their own are left out of the sum.

Shapes: n nodes, N items, M nodes of the tree, F dimensions of content, D = d_model.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit._core import SidLayout, ngram_rows
from sidkit._vectors import row_blocks
from sidkit.errors import DataError, FormatError
from sidkit.models.tree.sid_tree import SidTree

__all__ = ["NodeVectors", "node_counts"]


class NodeVectors(nn.Module):
    """Vectors of the nodes of a tree.

    Args:
        sizes: number of tokens of each level.
        level_nodes: number of prefixes of each length.
        items: number of items.
        content: dimensions of the items' content vectors, 0 for none.
        shared_content: rows of content besides those of the items of the training: one for every node with
            several items, their mean, and one for every item that was added.
        half: whether content is stored in float16.
        d_model: dimensions of the vectors.
        rows: rows of the table of prefixes.
        owned: number of prefixes that have a vector, if some have none; None otherwise.
        added: number of items that were added after the training; they are the last.
        imputed: number of vectors that stand for items without training events; they are the last of the
            table.

    Attributes:
        tree: the Semantic IDs.
        row: row of the table of prefixes of each node, int32 (M,), -1 for none; only if prefixes are hashed
            or some have none.
        hashed: whether prefixes share rows of the table; its gradients are sparse then.
    """

    row: Tensor
    content: Tensor
    means: Tensor
    content_row: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        level_nodes: Sequence[int],
        items: int,
        *,
        content: int = 0,
        shared_content: int = 0,
        half: bool = False,
        d_model: int,
        rows: int,
        owned: int | None = None,
        added: int = 0,
        imputed: int = 0,
    ) -> None:
        super().__init__()
        nodes = sum(level_nodes)
        self.imputed = imputed
        self.sizes = tuple(sizes)
        self.tree = SidTree(level_nodes, items)
        self.hashed = owned is None and nodes > rows
        self.mapped = self.hashed or owned is not None
        self.code = nn.Embedding(sum(sizes), d_model)
        self.prefix = nn.Embedding(min(nodes, rows) if owned is None else owned, d_model, sparse=self.hashed)
        self.project = nn.Linear(content, d_model, bias=False) if content else None
        if self.mapped:
            self.register_buffer("row", torch.zeros(nodes, dtype=torch.int32))
        if self.project is not None:
            stored = torch.float16 if half else torch.float32
            self.register_buffer("content", torch.zeros(items - added, content, dtype=stored))
            self.register_buffer("means", torch.zeros(shared_content, content, dtype=stored))
            self.register_buffer("content_row", torch.zeros(nodes, dtype=torch.int32))
            self.register_buffer("shift", torch.zeros(content))
            self.register_buffer("scale", torch.zeros(content))
            nn.init.normal_(self.project.weight, std=0.02)
        for table in (self.code, self.prefix):
            nn.init.normal_(table.weight, std=0.02)
        self._lone: Tensor | None = None
        self.register_load_state_dict_post_hook(_check_rows)  # type: ignore[no-untyped-call]

    def is_new(self, nodes: Tensor) -> Tensor:
        """Return which nodes have no trained vector of their own, bool of the same shape."""
        if not self.mapped:
            return torch.zeros_like(nodes, dtype=torch.bool)
        row = self.row[nodes]
        return (row < 0) | (row >= len(self.prefix.weight) - self.imputed)

    @property
    def lone_leaves(self) -> Tensor:
        """`SidTree.lone_leaves`, computed once: nodes by which the vector of a node is computed."""
        if self._lone is None or self._lone.device != self.tree.leaf.device:
            self._lone = self.tree.lone_leaves()
        return self._lone

    def fill(
        self,
        tokens: npt.NDArray[np.integer],
        tree: SidTree,
        vectors: npt.NDArray[np.floating[Any]] | None,
    ) -> None:
        """Set the Semantic IDs and the content.

        Args:
            tokens: Semantic ID of every item, (N, L).
            tree: their tree.
            vectors: content vector of every item, f16 or f32 (N, F), standardized where they are read. A
                memory-mapped array is not copied.
        """
        self.tree, self._lone = tree, None
        if self.hashed:
            row = _hashed_rows(self.sizes, tokens, tree, len(self.prefix.weight))
            self.row.copy_(torch.from_numpy(row))
        if vectors is not None:
            self._set_content(vectors)

    def forward(self, nodes: Tensor) -> Tensor:
        """Return the vectors of nodes.

        Args:
            nodes: int64 (n,), of any levels; -1 has a vector of zeros.

        Returns:
            f32 (n, D).
        """
        codes, prefixes, content = self.parts(nodes)
        return codes + prefixes if content is None else codes + prefixes + content

    def parts(self, nodes: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the sums of code vectors and of prefix vectors, and the projected content, f32 (n, D) each.

        Args:
            nodes: see `forward`.
        """
        path = self.tree.paths(nodes)  # (n, L)
        real = path >= 0
        path = path.clamp(min=0)
        level = torch.bucketize(path, torch.tensor(self.tree.starts[1:], device=path.device), right=True)
        offsets = [0, *np.cumsum(self.sizes)[:-1].tolist()]  # first row of each level in the code table
        first = torch.tensor(offsets, device=path.device)
        code = self.tree.token[path].long() + first[level]
        row = self.row[path].long() if self.mapped else path
        weights = real.to(self.code.weight.dtype)
        codes = F.embedding_bag(code, self.code.weight, per_sample_weights=weights, mode="sum")
        kept = real & (row >= 0) if self.mapped else real
        table, row = self.prefix.weight, row.clamp(min=0)
        if self.hashed:  # a row is read once, so its gradient is there once
            distinct, row = torch.unique(row, return_inverse=True)
            table = self.prefix(distinct)
        prefixes = F.embedding_bag(row, table, per_sample_weights=kept.to(weights.dtype), mode="sum")
        if self.project is None:
            return codes, prefixes, None
        content = self._content_of(nodes.clamp(min=0)) * real[:, :1]
        return codes, prefixes, self.project(content).float()

    def _content_of(self, nodes: Tensor) -> Tensor:
        """Return the standardized content of nodes, f32 (n, F)."""
        return (self.raw_content(self.content_row[nodes].long()) - self.shift) * self.scale

    def raw_content(self, rows: Tensor) -> Tensor:
        """Return stored content, f32 (n, F), as it was given: rows of `content`, followed by `means`."""
        alone = rows < len(self.content)
        if bool(alone.all()):
            return self.content[rows].float()
        found = torch.empty(len(rows), self.content.shape[1], device=rows.device)
        found[alone] = self.content[rows[alone]].float()
        found[~alone] = self.means[rows[~alone] - len(self.content)].float()
        return found

    def _set_content(self, vectors: npt.NDArray[np.floating[Any]]) -> None:
        """Store content, its scale, and the mean content of nodes with several items, in one pass."""
        items, width = vectors.shape
        counts = node_counts(self.tree)
        shared = np.flatnonzero(counts > 1)
        path = self.tree.item_paths().numpy()  # (N, L)
        place = np.full(len(counts), -1, np.int64)
        place[shared] = np.arange(len(shared))
        sums = torch.zeros(len(shared), width)
        total, squares = np.zeros(width), np.zeros(width)
        if isinstance(vectors, np.memmap):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # the file is not written to
                self.content = torch.from_numpy(vectors)
        else:
            self.content = torch.from_numpy(vectors.copy())
        for block in row_blocks(items, width):
            part = vectors[block].astype(np.float32)
            total += part.sum(0, dtype=np.float64)
            squares += np.square(part, dtype=np.float64).sum(0)
            for level in range(path.shape[1]):
                node = place[path[block, level]]
                several = np.flatnonzero(node >= 0)
                sums.index_add_(0, torch.from_numpy(node[several]), torch.from_numpy(part[several]))
        self.means.copy_(sums / torch.from_numpy(counts[shared, None]))
        mean = total / items
        deviation = np.sqrt(np.maximum(squares / items - mean**2, 0))
        # A constant dimension becomes zero; rows get about unit length.
        scale = np.where(deviation < 1e-6, 0.0, 1 / np.maximum(deviation, 1e-6) / width**0.5)
        self.shift.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))
        row = np.zeros(len(counts), np.int32)
        row[path] = np.arange(items, dtype=np.int32)[:, None]
        row[shared] = items + np.arange(len(shared), dtype=np.int32)
        self.content_row.copy_(torch.from_numpy(row))


def _check_rows(vectors: NodeVectors, keys: object) -> None:
    """Check the loaded tree, and the rows of vectors of its nodes."""
    try:
        vectors.tree.check(vectors.sizes)
    except DataError as error:
        raise FormatError(f"{error}. Train the model again.") from error
    vectors._lone = None
    limits = {"row": (-1, len(vectors.prefix.weight))} if vectors.mapped else {}
    if vectors.project is not None:
        limits["content_row"] = (0, len(vectors.content) + len(vectors.means))
    for name, (least, end) in limits.items():
        rows = getattr(vectors, name)
        if len(rows) and not least <= int(rows.min()) <= int(rows.max()) < end:
            raise FormatError(
                f"the weights are damaged: expected `{name}` from {least} to {end - 1}, got "
                f"{int(rows.min())} to {int(rows.max())}. Train the model again."
            )


def node_counts(tree: SidTree, weights: npt.NDArray[np.integer] | None = None) -> npt.NDArray[np.int64]:
    """Return the number of items under each node, or the sum of their weights (N,): int64 (M,)."""
    counts = np.bincount(tree.leaf.cpu().numpy(), weights=weights, minlength=tree.starts[-1])
    counts = counts.astype(np.int64)
    parent = tree.parent.cpu().numpy()
    for level in range(tree.levels - 1, 0, -1):
        nodes = tree.level(level)
        counts += np.bincount(parent[nodes], weights=counts[nodes], minlength=len(counts)).astype(np.int64)
    return counts


def _hashed_rows(
    sizes: Sequence[int], tokens: npt.NDArray[np.integer], tree: SidTree, rows: int
) -> npt.NDArray[np.int32]:
    """Return the row of each prefix in a table with fewer rows than there are prefixes, int32 (M,)."""
    layout = SidLayout(list(sizes))
    packed = layout.pack(np.ascontiguousarray(tokens, np.uint16))
    grams = ngram_rows(packed, layout, kind="prefix", num_embeddings=rows)  # (N, L)
    found = np.zeros(tree.starts[-1], np.int32)
    found[tree.item_paths().numpy()] = grams
    return found
