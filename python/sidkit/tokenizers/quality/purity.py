"""Prefix purity: share of the items under a prefix that belong to one category."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Bounds, Count, Seed, Shape, check_argument, checked
from sidkit.errors import DataError

__all__ = ["Purity", "prefix_purity"]


@dataclass(frozen=True)
class Purity:
    """Category purity under prefixes of one length.

    Attributes:
        depth: number of tokens of the prefix; 0 is the whole catalogue.
        prefixes: number of prefixes of items with a category.
        items: number of items with a category.
        purity: share of the items that have the most frequent category of their prefix.
        chance: purity of random groups of the same sizes: the mean over permutations of the items.
        permutations: number of permutations.
    """

    depth: int
    prefixes: int
    items: int
    purity: float
    chance: float
    permutations: Count


@checked
def prefix_purity(
    codes: Annotated[npt.NDArray[np.integer[Any]], Shape("items", "levels"), Bounds(ge=0)],
    categories: Sequence[Sequence[str]],
    *,
    permutations: Count | None = None,
    seed: Seed = 0,
) -> list[Purity]:
    """Measure the category purity under prefixes of each length.

    Purity as in Manning, Raghavan and Schütze 2008, Introduction to Information Retrieval, section 16.3, with
    prefixes as clusters. It grows as groups get smaller, and a group of one item is pure. `chance` is
    therefore the purity of the same groups after a random permutation of the items. An item with several
    categories counts for the most frequent category of its prefix if it has that category.

    Args:
        codes: integers (n, levels).
        categories: categories of each item; items without any are left out.
        permutations: number of random permutations; by default 20, down to 2 for millions of items.
        seed: seed of the permutations.

    Returns:
        One entry for each depth from 0 to the number of levels; none if no item has a category.

    Raises:
        DataError: if there is not one list of categories per row of codes.
    """
    tokens = np.asarray(codes)
    if tokens.ndim != 2 or tokens.dtype.kind not in "iu" or len(tokens) != len(categories):
        raise DataError(
            f"codes and categories do not fit: expected integers (n, levels) and n lists, got {tokens.dtype} "
            f"{tokens.shape} and {len(categories)} lists."
        )
    categories = [check_argument("categories", labels, Sequence[str]) for labels in categories]
    kept = np.array([row for row, labels in enumerate(categories) if len(labels)], dtype=np.int64)
    if not len(kept):
        return []
    names: dict[str, int] = {}
    numbers = [sorted({names.setdefault(label, len(names)) for label in categories[row]}) for row in kept]
    items = np.repeat(np.arange(len(kept)), [len(each) for each in numbers])
    labels = np.array([number for each in numbers for number in each], dtype=np.int64)
    drawn = permutations or int(np.clip(2_000_000 // len(kept), 2, 20))
    random = np.random.default_rng(seed)
    shuffled = [random.permutation(len(kept)) for _ in range(drawn)]
    groups = np.zeros(len(kept), dtype=np.int64)
    found = []
    for depth in range(tokens.shape[1] + 1):
        if depth:
            column = tokens[kept, depth - 1].astype(np.int64)
            groups = np.unique(groups * (column.max() + 1) + column, return_inverse=True)[1].reshape(-1)
        by_chance = [_purity(groups[each], items, labels, len(names)) for each in shuffled]
        real = _purity(groups, items, labels, len(names))
        found.append(Purity(depth, int(groups.max()) + 1, len(kept), real, float(np.mean(by_chance)), drawn))
    return found


def _purity(
    groups: npt.NDArray[np.int64], items: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], names: int
) -> float:
    """Share of the items in the most frequent category of their group."""
    pairs, counts = np.unique(groups[items] * names + labels, return_counts=True)
    starts = np.flatnonzero(np.diff(pairs // names, prepend=-1))
    return float(np.maximum.reduceat(counts, starts).sum() / len(groups))
