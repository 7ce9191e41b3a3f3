"""Metrics of recommendation lists beyond accuracy: diversity, popularity, novelty, calibration, rules.

The functions take lists as item rows (m, k), such as `Predictions.items`, and return one value per list, of
which the mean is the metric.

    intra_list_diversity, code_entropy    diversity within a list
    average_popularity, novelty           popularity of the items
    serendipity                           unexpected hits
    item_share, item_ages                 share of new items
    miscalibration                        categories of a list against those of the history
    cap_violations, share_violations      broken rules
    gini                                  concentration over the catalogue
    ListFacts, list_metrics               all of these in one evaluation

Coverage of the catalogue is part of `sidkit.evaluate.catalogue_metrics`.
"""

from sidkit.evaluate.lists.ages import item_ages, item_share
from sidkit.evaluate.lists.calibration import miscalibration
from sidkit.evaluate.lists.diversity import code_entropy, intra_list_diversity
from sidkit.evaluate.lists.exposure import gini
from sidkit.evaluate.lists.facts import ListFacts, list_metrics
from sidkit.evaluate.lists.popularity import average_popularity, novelty
from sidkit.evaluate.lists.serendipity import serendipity
from sidkit.evaluate.lists.violations import cap_violations, share_violations

__all__ = [
    "ListFacts",
    "average_popularity",
    "cap_violations",
    "code_entropy",
    "gini",
    "intra_list_diversity",
    "item_ages",
    "item_share",
    "list_metrics",
    "miscalibration",
    "novelty",
    "serendipity",
    "share_violations",
]
