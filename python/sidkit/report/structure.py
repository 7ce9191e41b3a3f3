"""Agreement of Semantic IDs with content: cosines, neighbours and categories by shared prefix."""

import math
from collections import Counter

from sidkit.tokenizers.quality.inspection import Inspection

__all__ = ["collision_rows", "depth_rows", "neighbour_sentence"]

# From here on, code sequences of different sizes share a row.
_LARGEST_GROUP = 12


def depth_rows(found: Inspection) -> list[tuple[str, ...]]:
    """Lay out figures by the number of shared tokens: a row of titles, then one row per number."""
    titles: tuple[str, ...] = ("tokens shared", "pairs of items", "mean cosine")
    pure = bool(found.purity)
    if pure:
        titles += ("purity", "purity by chance")
    rows = [titles]
    for place, each in enumerate(found.coherence):
        cosine = "–" if math.isnan(each.cosine) else f"{each.cosine:.3f}"
        row: tuple[str, ...] = (str(each.depth), f"{each.pairs:,}", cosine)
        if pure:
            row += (f"{found.purity[place].purity:.1%}", f"{found.purity[place].chance:.1%}")
        rows.append(row)
    return rows


def collision_rows(found: Inspection) -> list[tuple[str, ...]]:
    """Count code sequences by their number of items: a row of titles, then one row per number."""
    sequences: Counter[str] = Counter()
    items: Counter[str] = Counter()
    for size, number in sorted(found.quality.collisions.items()):
        name = str(size) if size < _LARGEST_GROUP else f"{_LARGEST_GROUP}+"
        sequences[name] += number
        items[name] += size * number
    rows: list[tuple[str, ...]] = [("items per code sequence", "code sequences", "items")]
    return rows + [(name, f"{sequences[name]:,}", f"{items[name]:,}") for name in sequences]


def neighbour_sentence(found: Inspection) -> str:
    """Describe how many nearest neighbours by content are also nearest by codes."""
    near = found.neighbours
    if near is None:
        return "A single item has no neighbours."
    queries = (
        f"{near.queries:,} items drawn with seed {near.seed}" if near.queries < near.pool else "all items"
    )
    among = f", among {near.pool:,} sampled items" if near.pool < found.quality.items else ""
    return (
        f"Of the {near.k} nearest neighbours by cosine of {queries}, {near.recall:.1%} are among the "
        f"{near.k} nearest by codes (longest shared prefix first, then the distance between decoded "
        f"vectors{among}). The prefix alone gives {near.prefix:.1%}, random codes {near.chance:.1%}."
    )
