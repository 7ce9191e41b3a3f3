"""Prefixes of a trie level by level, from which its layouts for devices are built."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sidkit._core import Trie

__all__ = ["Level", "levels_of"]


@dataclass(frozen=True)
class Level:
    """Prefixes of one length and the tokens that continue them.

    Attributes:
        codes: uint16 (children,), tokens that continue each prefix, ascending; prefix after prefix in sorted
            order. The place of a child is its number among the prefixes of the next level.
        starts: int64 (prefixes + 1,), start of each prefix's children, and their number at the end.
    """

    codes: NDArray[np.uint16]
    starts: NDArray[np.int64]

    @property
    def width(self) -> int:
        """Largest number of children of a prefix; 0 without any."""
        return int(np.diff(self.starts).max(initial=0))


def levels_of(trie: Trie) -> list[Level]:
    """Return the prefixes of 0, 1, … tokens, one `Level` each; an empty trie has the empty prefix."""
    items, _ = trie.items(trie.start(1))
    tokens = trie.layout.unpack(trie.sids(items.astype(np.int64)))  # (items, L), sorted
    differs = np.ones(tokens.shape, np.bool_)
    np.not_equal(tokens[1:], tokens[:-1], out=differs[1:])
    begins = np.logical_or.accumulate(differs, axis=1)  # (items, L): start of a prefix of l + 1 tokens
    levels, rows = [], np.zeros(1, np.int64)  # first row of each prefix
    for level in range(tokens.shape[1]):
        children = np.flatnonzero(begins[:, level])
        starts = np.append(np.searchsorted(children, rows), len(children)).astype(np.int64)
        levels.append(Level(tokens[children, level], starts))
        rows = children
    return levels
