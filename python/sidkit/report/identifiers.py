"""The section on Semantic IDs: how well the codes are used, and where they collide."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.errors import FormatError
from sidkit.ids import SidTable
from sidkit.report.collect import RunData
from sidkit.report.markup import Markup, tag
from sidkit.report.plots import code_use, histogram
from sidkit.report.structure import structure
from sidkit.tokenizers.quality.report import gini, perplexity, random_unique_rate

__all__ = ["Level", "identifiers", "level_facts", "sid_markup", "unique_rate"]


@dataclass(frozen=True)
class Level:
    """One level of the Semantic IDs.

    Attributes:
        size: how many codes there are.
        used: how many occur.
        perplexity: how many codes would be as uncertain if used evenly.
        mse: what is left unexplained, as a share of the variance; None where it was not recorded.
        gini: how uneven the use is, from 0 to 1; None where it was not recorded.
    """

    size: int
    used: int
    perplexity: float
    mse: float | None
    gini: float | None = None

    @property
    def entropy(self) -> float:
        """Of the codes, in bits."""
        return math.log2(self.perplexity) if self.perplexity > 0 else 0.0


def level_facts(run: RunData) -> list[Level]:
    """Give the facts of each level: as its stage recorded them, else counted from the table."""
    recorded = run.tokenizer.get("levels")
    if isinstance(recorded, list) and recorded:
        return [_recorded_level(run, place, level) for place, level in enumerate(recorded)]
    if run.table is None:
        return []
    errors = run.tokenizer.get("mse", [])
    facts = []
    for level, counts in enumerate(_counts(run.table)):
        mse = errors[level] if level < len(errors) else None
        used = int(np.count_nonzero(counts))
        facts.append(Level(len(counts), used, perplexity(counts), mse, gini(counts)))
    return facts


def _recorded_level(run: RunData, place: int, level: Any) -> Level:
    try:
        mse = level.get("mse")
        error = None if mse is None else float(mse)
        uneven = _gini_of_table(run, place) if level.get("gini") is None else float(level["gini"])
        return Level(int(level["size"]), int(level["used"]), float(level["perplexity"]), error, uneven)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"{run.path}: the recorded facts of a tokenizer's level are damaged: {level!r}"
        ) from error


def _gini_of_table(run: RunData, level: int) -> float | None:
    """For runs whose stage did not record it."""
    if run.table is None or level >= run.table.codes.shape[1]:
        return None
    return gini(_counts(run.table)[level])


def unique_rate(run: RunData) -> float | None:
    """Give the share of distinct codes among the items, before collisions are told apart."""
    recorded = run.tokenizer.get("unique_rate")
    if recorded is not None:
        return float(recorded)
    if run.table is None or not len(run.table):
        return None
    return len(_groups(run.table)) / len(run.table)


def identifiers(run: RunData) -> list[Markup]:
    """Show the Semantic IDs."""
    levels = level_facts(run)
    if not levels:
        return []
    table = run.table
    parts: list[Markup] = [tag("h2", "Semantic IDs"), _introduction(run)]
    if table is not None:
        drawn = [code_use(counts, level) for level, counts in enumerate(_counts(table))]
        parts.append(tag("div", drawn, class_="row"))
    parts.append(_level_table(levels))
    parts += _collisions(run)
    parts += structure(run)
    return parts


def sid_markup(tokens: npt.NDArray[np.integer]) -> Markup:
    """Write a Semantic ID, each token in the colour of its level."""
    joined: list[Markup | str] = []
    for level, token in enumerate(tokens.tolist()):
        joined += ["-"] * bool(level) + [tag("b", token, class_=f"d{level % 6}")]
    return tag("span", joined, class_="sid")


def _introduction(run: RunData) -> Markup:
    table = run.table
    kind = {"rqkmeans": "residual k-means", "rqvae": "RQ-VAE"}.get(str(run.tokenizer.get("kind")))
    made = f", made by {kind}" if kind else ""
    if table is None or not len(table):
        return tag("p", f"Codes of each item{made}; the table of Semantic IDs is not there yet.")
    told = {
        "suffix": "Items with equal codes are told apart by one more token.",
        "reassign": "An item whose codes were taken got the next-nearest free ones.",
        "share": "Items with equal codes share a Semantic ID.",
    }[table.collisions]
    return tag(
        "p",
        f"Each item is {len(table.sizes)} tokens, such as ",
        sid_markup(table.tokens[0]),
        f"{made}; {table.layout.total_bits} bits when packed. {told}",
    )


def _level_table(levels: list[Level]) -> Markup:
    titles = (
        "level",
        "codebook_size",
        "in use",
        "perplexity",
        "entropy, bits",
        "Gini",
        "unexplained variance",
    )
    rows = [
        tag(
            "tr",
            tag("th", tag("span", class_=f"dot d{number % 6}"), number, scope="row"),
            tag("td", f"{level.size:,}"),
            tag("td", f"{level.used:,}"),
            tag("td", f"{level.perplexity:.1f}"),
            tag("td", f"{level.entropy:.2f} of {math.log2(level.size):.2f}"),
            tag("td", "–" if level.gini is None else f"{level.gini:.3f}"),
            tag("td", "–" if level.mse is None else f"{level.mse:.3f}"),
        )
        for number, level in enumerate(levels)
    ]
    head = tag("tr", [tag("th", title, scope="col") for title in titles])
    caption = tag(
        "caption",
        "Perplexity is the number of codes that would be as uncertain if all were used evenly. "
        "Gini is 0 if all codes are used evenly, near 1 if one takes everything.",
    )
    return tag("div", tag("table", caption, tag("thead", head), tag("tbody", rows)), class_="scroll")


def _collisions(run: RunData) -> list[Markup]:
    sizes = _collision_sizes(run)
    rate = unique_rate(run)
    if not sizes or rate is None:
        return []
    largest = max(sizes)
    cut = 8
    bins = [(str(size), sizes.get(size, 0)) for size in range(1, min(largest, cut) + 1)]
    if largest > cut:
        bins[-1] = (f"{cut}+", sum(count for size, count in sizes.items() if size >= cut))
    items = sum(size * count for size, count in sizes.items())
    random = run.tokenizer.get("random_unique_rate")
    if not isinstance(random, float):
        random = random_unique_rate(items, [level.size for level in level_facts(run)])
    text = (
        f"There are {rate:.1%} as many distinct codes as items; random codes would reach {random:.1%}. "
        f"The fullest code holds {largest} item{'s' if largest > 1 else ''}."
    )
    return [
        tag("h3", "Collisions"),
        tag("p", text),
        tag("div", histogram(bins, "Items with the same codes", "items on one code"), class_="row"),
    ]


def _collision_sizes(run: RunData) -> dict[int, int]:
    recorded = run.tokenizer.get("collisions")
    if isinstance(recorded, dict):
        return {int(size): int(count) for size, count in recorded.items()}
    if run.table is None or not len(run.table):
        return {}
    values, counts = np.unique(_groups(run.table), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _counts(table: SidTable) -> list[npt.NDArray[np.int64]]:
    codes = table.codes
    return [np.bincount(codes[:, level], minlength=table.sizes[level]) for level in range(codes.shape[1])]


def _groups(table: SidTable) -> npt.NDArray[np.int64]:
    """Give the number of items on each set of codes in use."""
    groups: npt.NDArray[np.int64] = np.unique(table.codes, axis=0, return_counts=True)[1]
    return groups
