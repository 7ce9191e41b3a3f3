"""Prefix coherence: similarity of the items that share a prefix of their Semantic IDs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Bounds, Shape, checked
from sidkit.errors import DataError, FormatError

__all__ = ["Coherence", "coherence_from_json", "coherence_json", "prefix_coherence"]

_COLUMNS = 64


@dataclass(frozen=True)
class Coherence:
    """Coherence of the prefixes of one length.

    Attributes:
        depth: number of shared tokens; 0 is the whole catalogue.
        prefixes: number of prefixes with at least two items.
        items: number of items under these.
        pairs: number of pairs of items that share a prefix.
        cosine: mean cosine similarity of these pairs; NaN without pairs.
    """

    depth: int
    prefixes: int
    items: int
    pairs: int
    cosine: float


@checked
def prefix_coherence(
    vectors: Annotated[npt.ArrayLike, Shape("items", "dim")],
    codes: Annotated[npt.NDArray[np.integer[Any]], Shape("items", "levels"), Bounds(ge=0)],
) -> list[Coherence]:
    """Compute the mean pairwise cosine similarity under prefixes of each length (arXiv 2306.08121, table 1).

    The cosines within a group add up to the squared length of the sum of its unit vectors, so the time is
    linear in the number of items.

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
            "vectors and codes do not fit: expected two-dimensional arrays with one row per item, got "
            f"{x.shape} and {tokens.shape}."
        )
    lengths = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        raise DataError(
            "a vector has no direction: expected finite vectors of positive length, got zeros, NaN or "
            "infinity."
        )
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
    for first in range(0, x.shape[1], _COLUMNS):  # blocks of dimensions bound the memory
        block = x[:, first : first + _COLUMNS] / lengths[:, None]
        squared += float((np.add.reduceat(block[order], starts) ** 2).sum())
    # A group of n unit vectors: |sum|^2 = n + 2 * (sum of the cosines of its pairs).
    return Coherence(depth, len(shared), int(shared.sum()), pairs, (squared - len(x)) / 2 / pairs)


def coherence_json(found: Sequence[Coherence]) -> str:
    """Return the figures as JSON text, one line per depth; the cosine without pairs is null."""
    rows = [asdict(each) | {"cosine": round(each.cosine, 6) if each.pairs else None} for each in found]
    return "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n"


def coherence_from_json(text: str) -> list[Coherence]:
    """Parse what `coherence_json` returned.

    Raises:
        FormatError: if the text is something else.
    """
    try:
        return [
            Coherence(**each | {"cosine": float("nan") if each["cosine"] is None else each["cosine"]})
            for each in json.loads(text)
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"the text is damaged: expected JSON of prefix coherence, got: {error!r}."
        ) from error
