"""Diversity within lists: distances of vectors, and entropy of first codes."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Shape, checked
from sidkit.errors import DataError
from sidkit.evaluate.lists.arguments import ItemCounts, ItemLists, check_catalogue

__all__ = ["code_entropy", "intra_list_diversity"]

Float64 = npt.NDArray[np.float64]

_BLOCK_ELEMENTS = 8_000_000  # of gathered vectors


@checked
def intra_list_diversity(items: ItemLists, vectors: Annotated[npt.ArrayLike, Shape("items", "d")]) -> Float64:
    """Compute the mean distance of the items of each list.

        ILD = sum over pairs i != j of (1 - cos(v_i, v_j)) / (n (n - 1))

    for the n items of a list (Smyth and McClave, ICCBR 2001; Ziegler et al., WWW 2005). A zero vector has a
    cosine of 0 with all others.

    Args:
        items: item rows (m, k), padded with -1.
        vectors: vector of every item, (items, d).

    Returns:
        float64 (m,), 0 (all vectors alike) to 2; 0 for a list with fewer than two items.

    Raises:
        DataError: if an item has no vector.
    """
    table = vectors if isinstance(vectors, np.ndarray) else np.asarray(vectors)
    if table.ndim != 2 or (items.size and int(items.max()) >= len(table)):
        raise DataError(
            f"`vectors` do not fit the lists: expected one row for each item up to "
            f"{int(items.max()) if items.size else -1}, got shape {table.shape}"
        )
    found = np.zeros(len(items))
    step = max(1, _BLOCK_ELEMENTS // max(1, items.shape[1] * table.shape[1]))
    for start in range(0, len(items), step):
        block = items[start : start + step]
        there = (block >= 0)[..., None]
        gathered = np.where(there, table[np.maximum(block, 0)], 0).astype(np.float64)  # (rows, k, d)
        lengths = np.linalg.norm(gathered, axis=2, keepdims=True)
        units = gathered / np.where(lengths > 0, lengths, 1)
        cosines = (units.sum(axis=1) ** 2).sum(axis=1) - (units**2).sum(axis=(1, 2))  # pairs i != j
        pairs = (there.sum(axis=(1, 2)) * (there.sum(axis=(1, 2)) - 1)).astype(np.float64)
        found[start : start + step] = np.where(pairs > 0, 1 - cosines / np.maximum(pairs, 1), 0)
    return found


@checked
def code_entropy(items: ItemLists, codes: ItemCounts) -> Float64:
    """Compute the entropy of the codes of each list.

        H = - sum over codes c of p(c) log2 p(c)

    with p(c), the share of the items of the list that have the code (Shannon 1948). With first codes of
    Semantic IDs, it measures over how many regions of the catalogue a list is spread.

    Args:
        items: item rows (m, k), padded with -1.
        codes: code of every item, int (items,), such as `sids.tokens[:, 0]`.

    Returns:
        Bits, float64 (m,), 0 (one code) to log2 k; 0 for an empty list.
    """
    check_catalogue(items, len(codes))
    there = items >= 0
    found = np.where(there, codes.astype(np.int64)[items], -1)
    same = (found[:, :, None] == found[:, None, :]) & there[:, None, :]  # (m, k, k)
    size = np.maximum(there.sum(axis=1), 1)
    share = np.maximum(same.sum(axis=2), 1) / size[:, None]
    # Each item contributes 1 / n of the logarithm of the share of its code. `+ 0` makes -0.0 a zero.
    entropy: Float64 = -np.where(there, np.log2(share), 0).sum(axis=1) / size + 0
    return entropy
