"""Hierarchical k-means: codes are paths from the root of a cluster tree to its leaves."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit._core import assign_codes
from sidkit._progress import Progress
from sidkit._settings import Count, Depth, Seed, Width
from sidkit.errors import DataError, FormatError
from sidkit.tokenizers.base import Tokenizer
from sidkit.tokenizers.parts.arrays import Codes, State, Vectors
from sidkit.tokenizers.parts.checks import (
    check_choice,
    check_counts,
    check_counts_or_none,
    check_flags,
    check_seed,
)
from sidkit.tokenizers.parts.files import by_level, take
from sidkit.tokenizers.parts.kmeans import INITS, Init, kmeans, level_seed
from sidkit.tokenizers.parts.standardize import Standardizer

__all__ = ["HierarchicalKMeans"]

Rows = npt.NDArray[np.int64]


class HierarchicalKMeans(Tokenizer):
    """Hierarchical k-means tokenizer: every cluster is split recursively, and an item's codes are its path.

    Such paths are the identifiers of DSI (Tay et al., 2022), RecForest (Feng et al., 2022) and, for
    collaborative signal, P5-CID (Hua et al., 2023). A code has a meaning only below its prefix, unlike in
    `RQKMeans`, where a level has one codebook for all prefixes. The tree therefore fits the vectors better
    and has many more codewords.

    A cluster with no more vectors than the maximum number of children has one leaf per distinct vector. Every
    vector descends to the nearest child at each node, by exact assignment.

    Args:
        levels: codes per item, the depth of the tree.
        codebook_size: maximum number of children of a node: one number, or one per level.
        standardize: scale every dimension to mean 0 and variance 1 first.
        iterations: maximum number of iterations of Lloyd's algorithm per node.
        init: initialization of k-means: `bisect`, `k-means++` or `k-means||`, as for `RQKMeans`.
        balanced: learn the children of a node from clusters of equal size. Codes are still the nearest
            children, so sizes are only approximately equal.
        seed: seed of the initializations.
        threads: maximum number of threads; None uses all cores. The codes do not depend on it.

    Attributes:
        standardizer_: mean and scale of every dimension.
        centroids_: float32 (nodes, dim), one array per level; the nodes of a level are in path order.
    """

    method = "hkmeans"
    standardizer_: Standardizer
    centroids_: list[Vectors]
    _offsets: list[Rows]  # the children of node i of a level are those from offsets[i] to offsets[i + 1]

    def __init__(
        self,
        levels: Depth = 3,
        codebook_size: Width | Sequence[Width] = 256,
        *,
        standardize: bool = True,
        iterations: Count = 25,
        init: Init = "bisect",
        balanced: bool = True,
        seed: Seed = 0,
        threads: int | None = None,
    ) -> None:
        self._set_sizes(levels, codebook_size)
        self.standardize = standardize
        self.iterations = iterations
        self.init = init
        self.balanced = balanced
        self.seed = seed
        self.threads = threads
        check_counts(self, "iterations")
        check_counts_or_none(self, "threads")
        check_flags(self, "standardize", "balanced")
        check_seed(seed)
        check_choice("init", init, INITS)

    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        standardizer = Standardizer.fit_if(self.standardize, x)
        z = standardizer.apply(x)
        centroids: list[Vectors] = []
        offsets: list[Rows] = []
        nodes = np.zeros(len(z), np.int64)  # the node of each vector
        parents = np.zeros((1, z.shape[1]), np.float32)
        for level in range(self.levels):
            order, starts = _grouped(nodes, len(parents))
            found = [
                self._split(z[order[starts[node] : starts[node + 1]]], parents[node], level, node)
                for node in range(len(parents))
            ]
            centroids.append(np.concatenate(found))
            offsets.append(np.concatenate([[0], np.cumsum([len(children) for children in found])]))
            nodes, _ = self._descend(z, nodes, centroids[level], offsets[level])
            parents = centroids[level]
            if progress is not None:
                progress(level + 1, self.levels, nodes=float(len(parents)))
        self.standardizer_, self.centroids_, self._offsets = standardizer, centroids, offsets

    def _split(self, rows: Vectors, parent: Vectors, level: int, node: int) -> Vectors:
        """Centroids of a node's children, at least one."""
        if not len(rows):  # no training vector reaches this node, but a new one may
            return parent[None]
        size = self.codebook_sizes[level]
        if len(rows) <= size or size == 1:
            distinct = np.unique(rows, axis=0)
            return (
                distinct
                if len(distinct) <= size
                else rows.mean(axis=0, dtype=np.float64)[None].astype(np.float32)
            )
        return kmeans(
            rows,
            size,
            iterations=self.iterations,
            seed=level_seed(self.seed, level, node),
            init=self.init,
            balanced=self.balanced,
            threads=self.threads,
        )

    def _descend(
        self, z: Vectors, nodes: Rows, centroids: Vectors, offsets: Rows
    ) -> tuple[Rows, npt.NDArray[np.uint16]]:
        """Move from nodes to their nearest children; return these and their positions below the parent."""
        codes = np.zeros(len(z), np.uint16)
        order, starts = _grouped(nodes, len(offsets) - 1)
        for node in np.flatnonzero(np.diff(starts)):
            rows = order[starts[node] : starts[node + 1]]
            children = centroids[offsets[node] : offsets[node + 1]]
            if len(children) > 1:
                codes[rows] = assign_codes(z[rows], [children], threads=self.threads)[:, 0]
        return offsets[nodes] + codes, codes

    def _encode(self, x: Vectors) -> Codes:
        z, nodes = self.standardizer_.apply(x), np.zeros(len(x), np.int64)
        columns = []
        for centroids, offsets in zip(self.centroids_, self._offsets, strict=True):
            nodes, codes = self._descend(z, nodes, centroids, offsets)
            columns.append(codes)
        return np.stack(columns, axis=1)

    def _decode(self, codes: Codes) -> Vectors:
        nodes = np.zeros(len(codes), np.int64)
        for level, column in enumerate(codes.T):
            offsets = self._offsets[level]
            children = np.diff(offsets)[nodes]
            wrong = np.flatnonzero(column >= children)
            if len(wrong):
                row = int(wrong[0])
                path = "-".join(map(str, codes[row, : level + 1]))
                raise DataError(
                    f"the codes of row {row} are not a path of the tree: expected one of {children[row]} "
                    f"children, got {path}. Use codes that `encode` returned."
                )
            nodes = offsets[nodes] + column
        return self.standardizer_.invert(self.centroids_[codes.shape[1] - 1][nodes])

    def _alternatives(self, x: Vectors, count: int) -> Codes:
        """Find leaves by a beam search for near centroids, with a beam of `count` nodes.

        Every node has a child, so every row has `count` leaves, or all of them.
        """
        z = self.standardizer_.apply(x).astype(np.float64)
        choices = min(count, len(self.centroids_[-1]))
        result = np.zeros((len(z), choices, self.levels), np.uint16)
        for row, vector in enumerate(z):
            nodes, paths = np.zeros(1, np.int64), np.zeros((1, 0), np.uint16)
            for centroids, offsets in zip(self.centroids_, self._offsets, strict=True):
                widths = offsets[nodes + 1] - offsets[nodes]
                parents = np.repeat(np.arange(len(nodes)), widths)
                tokens = np.arange(len(parents)) - np.repeat(np.cumsum(widths) - widths, widths)
                children = offsets[nodes[parents]] + tokens
                far = np.square(centroids[children] - vector).sum(axis=1)
                best = np.argsort(far, kind="stable")[:count]
                nodes = children[best]
                paths = np.concatenate([paths[parents[best]], tokens[best, None].astype(np.uint16)], axis=1)
            result[row] = paths
        return result

    def _state(self) -> State:
        tree = by_level("centroids", self.centroids_) | by_level("offsets", self._offsets)
        return tree | self.standardizer_.state()

    def _restore(self, state: State, dim: Count) -> None:
        standardizer = Standardizer.restore(state, dim)
        nodes, centroids, offsets = 1, [], []
        for level, size in enumerate(self.codebook_sizes):
            one = take(state, f"offsets.{level}", (nodes + 1,), np.int64)
            widths = np.diff(one)
            if one[0] != 0 or (widths < 1).any() or (widths > size).any():
                raise FormatError(
                    f"the array `offsets.{level}` is invalid: expected 1 to {size} children per node."
                )
            nodes = int(one[-1])
            offsets.append(one)
            centroids.append(take(state, f"centroids.{level}", (nodes, dim), np.float32))
        self.standardizer_, self.centroids_, self._offsets = standardizer, centroids, offsets


def _grouped(nodes: Rows, count: int) -> tuple[Rows, Rows]:
    """Rows, int64 (n,), sorted by node, and the start of each of `count` nodes, int64 (count + 1,)."""
    order = np.argsort(nodes, kind="stable")
    return order, np.concatenate([[0], np.cumsum(np.bincount(nodes, minlength=count))])
