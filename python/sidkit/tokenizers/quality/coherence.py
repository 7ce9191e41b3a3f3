"""How alike the items are that share a prefix of their Semantic IDs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from sidkit.errors import DataError, FormatError

__all__ = ["Coherence", "coherence_from_json", "coherence_json", "prefix_coherence"]

_COLUMNS = 64


@dataclass(frozen=True)
class Coherence:
    """What was found for one length of prefix.

    Attributes:
        depth: tokens shared; 0 is the whole catalogue.
        prefixes: prefixes with at least two items.
        items: items under those.
        pairs: pairs of items that share a prefix.
        cosine: their mean cosine similarity, each pair counting once; NaN if there are none.
    """

    depth: int
    prefixes: int
    items: int
    pairs: int
    cosine: float


def prefix_coherence(vectors: npt.ArrayLike, codes: npt.ArrayLike) -> list[Coherence]:
    """Mean pairwise cosine similarity under prefixes of every length (the first table of arXiv 2306.08121).

    No pair is looked at: the cosines within a group add up to the squared length of the sum of its unit
    vectors, so this takes time linear in the number of items.

    Args:
        vectors: (n, dim), the items' content vectors, none of them zero.
        codes: (n, levels), the tokens of their Semantic IDs.

    Returns:
        One entry for each depth from 0 to the number of levels.

    Raises:
        DataError: if the shapes do not fit, or a vector is zero or not finite.
    """
    x, tokens = np.asarray(vectors), np.asarray(codes)
    if x.ndim != 2 or tokens.ndim != 2 or len(x) != len(tokens):
        raise DataError(
            f"vectors and codes must have a row for each item; got shapes {x.shape}, {tokens.shape}"
        )
    lengths = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        raise DataError("every vector must be finite and not zero to have a direction")
    groups = np.zeros(len(x), dtype=np.int64)
    found = []
    for depth in range(tokens.shape[1] + 1):
        if depth:
            pairs = groups * (int(tokens[:, depth - 1].max(initial=0)) + 1) + tokens[:, depth - 1]
            groups = np.unique(pairs, return_inverse=True)[1].reshape(-1)
        found.append(_within(x, lengths, groups, depth))
    return found


def _within(
    x: npt.NDArray[np.floating],
    lengths: npt.NDArray[np.float64],
    groups: npt.NDArray[np.int64],
    depth: int,
) -> Coherence:
    counts = np.bincount(groups)
    pairs = int((counts * (counts - 1) // 2).sum())
    shared = counts[counts > 1]
    if not pairs:
        return Coherence(depth, 0, 0, 0, float("nan"))
    order = np.argsort(groups, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    squared = 0.0
    for first in range(0, x.shape[1], _COLUMNS):  # a few dimensions at a time bound the memory
        block = x[:, first : first + _COLUMNS] / lengths[:, None]
        squared += float((np.add.reduceat(block[order], starts) ** 2).sum())
    # A group of n unit vectors: |sum|^2 = n + 2 * (sum of the cosines of its pairs).
    return Coherence(depth, len(shared), int(shared.sum()), pairs, (squared - len(x)) / 2 / pairs)


def coherence_json(found: Sequence[Coherence]) -> str:
    """What was found as JSON text, a line for each depth; a cosine of no pair is null."""
    rows = [asdict(each) | {"cosine": round(each.cosine, 6) if each.pairs else None} for each in found]
    return "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n"


def coherence_from_json(text: str) -> list[Coherence]:
    """What `coherence_json` wrote.

    Raises:
        FormatError: if the text is not that.
    """
    try:
        return [
            Coherence(**each | {"cosine": float("nan") if each["cosine"] is None else each["cosine"]})
            for each in json.loads(text)
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"this is not the JSON of items under prefixes: {error}") from error
