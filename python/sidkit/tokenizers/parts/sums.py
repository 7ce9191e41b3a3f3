"""Sums over rows in one order for any division of the rows.

Rows are summed in order within blocks of 65,536, and blocks in a binary tree: node i of a level is the sum of
nodes 2i and 2i + 1 of the level below; a node without rows adds nothing. Shards that begin at a multiple of
65,536 compute the nodes of their rows, and the total has the same bits for any number of shards. The
k-means of the core sums in the same way.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["SUM_ROWS", "Node", "block_sums", "merged"]

#: Rows of a block.
SUM_ROWS = 1 << 16

#: Level of a node, its number in the level, and the sum of its rows.
Node: TypeAlias = tuple[int, int, npt.NDArray[np.float64]]


def block_sums(
    x: npt.NDArray[np.float32], term: Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]], first: int = 0
) -> list[Node]:
    """Sum a function of rows in every block.

    Args:
        x: float32 (n, dim), consecutive rows.
        term: function of rows, (m, dim), that returns the terms (m, width), whose rows are summed in float64.
        first: number of the first row, a multiple of 65,536.

    Returns:
        One node of level 0 per block.
    """
    nodes = []
    for start in range(0, len(x), SUM_ROWS):
        total = term(x[start : start + SUM_ROWS]).sum(axis=0, dtype=np.float64)
        nodes.append((0, (first + start) // SUM_ROWS, total))
    return nodes


def merged(nodes: Iterable[Node]) -> npt.NDArray[np.float64]:
    """Add up nodes in the order of their rows, which together cover all rows from row 0 on.

    Raises:
        ValueError: if there is no node.
    """
    stack: list[Node] = []
    for level, number, total in nodes:
        while stack and number % 2 and stack[-1][:2] == (level, number - 1):
            total = stack.pop()[2] + total
            level, number = level + 1, number // 2
        stack.append((level, number, total))
    if not stack:
        raise ValueError("there is no node to add up")
    total = stack.pop()[2]
    while stack:
        total = stack.pop()[2] + total
    return total
