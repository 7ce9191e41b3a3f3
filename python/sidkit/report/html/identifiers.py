"""Section on Semantic IDs: code usage, collisions and structure."""

import math

import numpy as np
import numpy.typing as npt

from sidkit.report.collect import RunData
from sidkit.report.html.blocks import data_table, section
from sidkit.report.html.plots import code_use, histogram
from sidkit.report.html.structure import structure
from sidkit.report.levels import Level, code_counts, collision_sizes, level_facts, unique_rate
from sidkit.report.markup import Child, Markup, tag
from sidkit.tokenizers.quality.usage import random_unique_rate

__all__ = ["identifiers", "sid_markup"]

_METHODS = {"rqkmeans": "residual k-means", "rqvae": "RQ-VAE"}
_POLICIES = {
    "suffix": "A collision token distinguishes items with equal codes.",
    "reassign": "Items with equal codes were moved to the nearest free codes.",
    "share": "Items with equal codes share a Semantic ID.",
}


def identifiers(run: RunData) -> list[Markup]:
    """Show the Semantic IDs."""
    levels = level_facts(run)
    if not levels:
        return []
    drawn: list[Markup] = []
    if run.table is not None:
        plots = [code_use(counts, level) for level, counts in enumerate(code_counts(run.table))]
        drawn = [tag("div", plots, class_="row")]
    return section(
        "Semantic IDs", _introduction(run), drawn, _level_table(levels), _collisions(run), structure(run)
    )


def sid_markup(tokens: npt.NDArray[np.integer]) -> Markup:
    """Write a Semantic ID, each token in the colour of its level."""
    written: list[Markup | str] = []
    for level, token in enumerate(tokens.tolist()):
        written += ["-"] * bool(level) + [tag("b", token, class_=f"d{level % 6}")]
    return tag("span", written, class_="sid")


def _introduction(run: RunData) -> Markup:
    table = run.table
    method = str(run.tokenizer.get("method") or "")
    made = f", made by {_METHODS.get(method, method)}" if method else ""
    if table is None or not len(table):
        return tag("p", f"Codes of each item{made}; there is no table of Semantic IDs yet.")
    return tag(
        "p",
        f"Each item has {len(table.sizes)} tokens, such as ",
        sid_markup(table.tokens[0]),
        f"{made}; {table.layout.total_bits} bits when packed. {_POLICIES[table.collisions]}",
    )


def _level_table(levels: list[Level]) -> Markup:
    titles = (
        "level",
        "codebook size",
        "in use",
        "perplexity",
        "entropy, bits",
        "Gini",
        "unexplained variance",
    )
    rows: list[list[Child]] = [
        [
            [tag("span", class_=f"dot d{place % 6}"), place],
            f"{level.codebook_size:,}",
            f"{level.used:,}",
            f"{level.perplexity:.1f}",
            f"{level.entropy:.2f} of {math.log2(level.codebook_size):.2f}",
            "–" if level.gini is None else f"{level.gini:.3f}",
            "–" if level.mse is None else f"{level.mse:.3f}",
        ]
        for place, level in enumerate(levels)
    ]
    caption = (
        "Perplexity is the number of codes that would be as uncertain if all were equally frequent. "
        "Gini is 0 if all codes are equally frequent, near 1 if one code has all items."
    )
    return data_table(titles, rows, caption=caption)


def _collisions(run: RunData) -> list[Markup]:
    sizes = collision_sizes(run)
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
        random = random_unique_rate(items, [level.codebook_size for level in level_facts(run)])
    text = (
        f"The number of distinct code sequences is {rate:.1%} of the number of items; random codes would "
        f"reach {random:.1%}. The largest collision has {largest} item{'s' if largest > 1 else ''}."
    )
    return [
        tag("h3", "Collisions"),
        tag("p", text),
        tag("div", histogram(bins, "Items with equal codes", "items per code sequence"), class_="row"),
    ]
