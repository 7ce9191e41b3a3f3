"""How prefixes follow what items are: cosines, neighbours, categories, and two pictures of it."""

import math
from collections import Counter

import numpy as np
import numpy.typing as npt

from sidkit.report.collect import RunData
from sidkit.report.maps import fullest_codes, item_map, principal_plane, treemap
from sidkit.report.markup import Markup, clean, tag
from sidkit.tokenizers import Inspection

__all__ = ["collision_rows", "depth_rows", "neighbour_sentence", "structure"]

_MAPPED = 2000
_SEED = 0
_LONGEST_NAME = 26
# From here on numbers of items on one code share a row.
_JOINED = 12


def structure(run: RunData) -> list[Markup]:
    """Show it; nothing without Semantic IDs, the treemap alone without vectors."""
    if run.table is None or not len(run.table):
        return []
    parts: list[Markup] = [tag("h3", "What a prefix says")]
    found = run.inspection
    if found is not None:
        parts += [_table(found), tag("p", neighbour_sentence(found))]
    parts.append(tag("div", treemap(run.table.codes), class_="row"))
    if found is not None and run.vectors is not None:
        parts += _map(run, run.vectors)
    return parts


def depth_rows(found: Inspection) -> list[tuple[str, ...]]:
    """Lay out what is known for each number of tokens shared: the titles, then a row a number."""
    titles: tuple[str, ...] = ("tokens shared", "pairs of items", "mean cosine")
    pure = bool(found.purity)
    if pure:
        titles += ("one category", "by chance")
    rows = [titles]
    for place, each in enumerate(found.coherence):
        cosine = "–" if math.isnan(each.cosine) else f"{each.cosine:.3f}"
        row: tuple[str, ...] = (str(each.depth), f"{each.pairs:,}", cosine)
        if pure:
            row += (f"{found.purity[place].purity:.1%}", f"{found.purity[place].chance:.1%}")
        rows.append(row)
    return rows


def collision_rows(found: Inspection) -> list[tuple[str, ...]]:
    """Lay out how many codes have 1, 2, 3, … items: the titles, then a row a number of items."""
    sizes: Counter[str] = Counter()
    items: Counter[str] = Counter()
    for size, codes in sorted(found.quality.collisions.items()):
        name = str(size) if size < _JOINED else f"{_JOINED}+"
        sizes[name] += codes
        items[name] += size * codes
    rows: list[tuple[str, ...]] = [("items on one code", "codebook_size", "items")]
    return rows + [(name, f"{sizes[name]:,}", f"{items[name]:,}") for name in sizes]


def neighbour_sentence(found: Inspection) -> str:
    """Say how many near neighbours codes keep near."""
    near = found.neighbours
    if near is None:
        return "A single item has no neighbours."
    asked = (
        f"{near.queries:,} items, drawn with seed {near.seed}," if near.queries < near.pool else "all items"
    )
    among = f", among {near.pool:,} items drawn likewise" if near.pool < found.quality.items else ""
    return (
        f"Of the {near.k} nearest neighbours by cosine of {asked} {near.recall:.1%} are among the {near.k} "
        "that are nearest by codes: those that share the longest prefix, then those whose codes decode to "
        f"the nearest vectors{among}. By the prefix alone it is {near.prefix:.1%}, "
        f"with random codes it would be {near.chance:.1%}."
    )


def _table(found: Inspection) -> Markup:
    titles, *rows = depth_rows(found)
    told = "The mean cosine of the vectors of all pairs of items that share so many first tokens."
    if found.purity:
        drawn = found.purity[0].permutations
        told += (
            " One category: the share of the items that have the commonest category under their prefix; "
            "by chance: the same with the items dealt to the prefixes at random, "
            f"the mean of {drawn} dealings."
        )
    head = tag("tr", [tag("th", title, scope="col") for title in titles])
    body = [tag("tr", tag("th", row[0], scope="row"), [tag("td", cell) for cell in row[1:]]) for row in rows]
    return tag(
        "div", tag("table", tag("caption", told), tag("thead", head), tag("tbody", body)), class_="scroll"
    )


def _map(run: RunData, vectors: npt.NDArray[np.float32]) -> list[Markup]:
    assert run.table is not None
    codes = run.table.codes
    rows = np.arange(len(codes))
    if len(rows) > _MAPPED:
        rows = np.sort(np.random.default_rng(_SEED).choice(len(codes), _MAPPED, replace=False))
    places, shown = principal_plane(vectors[rows])
    drawn = f"{len(rows):,} items drawn with seed {_SEED}" if len(rows) < len(codes) else "all items"
    note = (
        f"Items by their first two principal components ({drawn}), which show {shown:.0%} of the variance: "
        "what lies together here may be apart in the other dimensions. "
        "The fullest first codes have the colours they have above."
    )
    coloured = {code: _name(run, code) for code in fullest_codes(codes[:, 0])}
    drawing = item_map(places, codes[rows, 0], "Map of the vectors, by first code", coloured)
    return [tag("div", drawing, class_="row"), tag("p", note, class_="note")]


def _name(run: RunData, code: int) -> str:
    """A first code, and the commonest category under it where there are any."""
    assert run.table is not None
    if run.categories is None:
        return str(code)
    under = np.flatnonzero(run.table.codes[:, 0] == code)
    counts = Counter(label for row in under.tolist() for label in run.categories[row])
    if not counts:
        return str(code)
    label = clean(counts.most_common(1)[0][0].rpartition(" > ")[2])
    return f"{code}: {label if len(label) <= _LONGEST_NAME else label[: _LONGEST_NAME - 1] + '…'}"
