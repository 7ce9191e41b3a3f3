"""Subsection on the structure of Semantic IDs: similarity under prefixes, a treemap, and a map of items."""

from collections import Counter

import numpy as np
import numpy.typing as npt

from sidkit.ids import SidTable
from sidkit.report.collect import RunData
from sidkit.report.html.blocks import data_table
from sidkit.report.html.maps import fullest_codes, item_map, principal_plane, treemap
from sidkit.report.markup import Markup, clean, tag
from sidkit.report.structure import depth_rows, neighbour_sentence
from sidkit.tokenizers.quality.inspection import Inspection

__all__ = ["structure"]

_MAPPED = 2000
_SEED = 0
_LONGEST_NAME = 26


def structure(run: RunData) -> list[Markup]:
    """Show the structure; nothing without Semantic IDs, only the treemap without vectors."""
    if run.table is None or not len(run.table):
        return []
    parts: list[Markup] = [tag("h3", "Similarity under a prefix")]
    found = run.inspection
    if found is not None:
        parts += [_table(found), tag("p", neighbour_sentence(found))]
    parts.append(tag("div", treemap(run.table.codes), class_="row"))
    if found is not None and run.vectors is not None:
        parts += _map(run, run.table, run.vectors)
    return parts


def _table(found: Inspection) -> Markup:
    titles, *rows = depth_rows(found)
    caption = "Mean cosine of the vectors of all pairs of items with this number of shared first tokens."
    if found.purity:
        caption += (
            " Purity is the share of items with the most frequent category under their prefix; purity by "
            f"chance is the mean of {found.purity[0].permutations} random assignments of items to prefixes."
        )
    return data_table(titles, rows, caption=caption)


def _map(run: RunData, table: SidTable, vectors: npt.NDArray[np.float32]) -> list[Markup]:
    codes = table.codes
    rows = np.arange(len(codes))
    if len(rows) > _MAPPED:
        rows = np.sort(np.random.default_rng(_SEED).choice(len(codes), _MAPPED, replace=False))
    places, shown = principal_plane(vectors[rows])
    drawn = f"{len(rows):,} items drawn with seed {_SEED}" if len(rows) < len(codes) else "all items"
    note = (
        f"Items by their first two principal components ({drawn}), which have {shown:.0%} of the variance: "
        "items that are close here may be far apart in other dimensions. Colours are those of the treemap."
    )
    coloured = {code: _name(run, table, code) for code in fullest_codes(codes[:, 0])}
    drawing = item_map(places, codes[rows, 0], "Map of the vectors, by first code", coloured)
    return [tag("div", drawing, class_="row"), tag("p", note, class_="note")]


def _name(run: RunData, table: SidTable, code: int) -> str:
    """Write a first code, and the most frequent category under it if there are categories."""
    if run.categories is None:
        return str(code)
    under = np.flatnonzero(table.codes[:, 0] == code)
    counts = Counter(label for row in under.tolist() for label in run.categories[row])
    if not counts:
        return str(code)
    label = clean(counts.most_common(1)[0][0].rpartition(" > ")[2])
    return f"{code}: {label if len(label) <= _LONGEST_NAME else label[: _LONGEST_NAME - 1] + '…'}"
