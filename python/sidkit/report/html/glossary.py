"""Glossary of the page: definitions of metrics and terms."""

from sidkit.report.html.blocks import prose, section
from sidkit.report.markup import Markup, tag

__all__ = ["glossary"]

_TERMS = {
    "Semantic ID": "A short sequence of tokens that identifies an item, such as 12-200-7-0. Items with "
    "similar content share first tokens. Each token is one codeword; a collision token may follow.",
    "Recall@K": "The share of users whose target, the item they took next, is among the first K recommended "
    "items.",
    "NDCG@K": "Normalized discounted cumulative gain: like Recall@K, but a target at rank r counts "
    "1 / log2(r + 1), so higher ranks count more.",
    "MRR@K": "Mean reciprocal rank: a target at rank r counts 1 / r, or 0 beyond rank K.",
    "95 % interval": "Bootstrap interval over users. In about 95 of 100 repetitions with other users, such "
    "an interval contains the true value.",
    "Significant": "The 95 % interval of a paired difference, computed user by user, excludes 0.",
    "Popularity": "Baseline that recommends the most frequent items of the training set to every user.",
    "Seen items": "The items of a user's history. `recommend` excludes them from the lists by default.",
    "Catalogue coverage": "The share of all items that at least one user gets recommended.",
    "Popular items": "The share of recommended items among the most popular 1 % of the catalogue.",
    "Filled positions": "The share of list positions that hold an item.",
    "List overlap": "The share of items that the lists of two users have in common, averaged over all pairs "
    "of users.",
    "Shuffled-history recall": "The Recall that the lists would have if they were assigned to other users at "
    "random. A value near Recall means that a model does not use the histories.",
    "Unique codes": "The number of distinct code sequences per item before collision handling; 100 % if no "
    "two items have the same codes.",
    "Collision": "Several items with the same codes. The policy `suffix` adds a token, `reassign` moves "
    "items to free codes, `share` lets them share a Semantic ID.",
    "Perplexity": "2 to the power of the entropy of the codes of a level: the number of codes that would be "
    "as uncertain if all were equally frequent. At most the codebook size.",
    "Gini": "Gini coefficient of the items per code: 0 if all codes are equally frequent, near 1 if one code "
    "has all items.",
    "Unexplained variance": "The squared error of decoded vectors after a level, as a share of the variance.",
    "Purity": "The share of items that have the most frequent category under their prefix.",
    "Beam": "The number of partial Semantic IDs that the search of a generative model keeps at each level.",
}


def glossary() -> list[Markup]:
    """Show the definitions."""
    entries = [tag("div", tag("dt", term), tag("dd", prose(text))) for term, text in _TERMS.items()]
    return section("Glossary", tag("dl", entries, class_="glossary"))
