"""Measure recommendations: by item, over the full catalogue, with intervals and the protocol beside.

Every recommender gives `Predictions`; everything else here is computed from those, so a metric can be
recomputed, sliced or compared years later without the model.

    Predictions                    ranked items of some users, and the item each really took next
    user_metrics, catalogue_metrics   Recall, NDCG, MRR of each user; coverage and other facts of the lists
    TargetRanks                    where each target stood: what stored runs keep, to be compared by user
    bootstrap_interval, compare    95 % intervals, of a mean and of the difference of two models
    bigram_losses                  what a table of token pairs foretells: the least a generator must beat
    measure                        all of these, for all slices -> `Result`s
    Protocol, Metrics              what `metrics.json` holds
"""

from sidkit._extras import require

require("polars", extra="data")

from sidkit.evaluate.bigram import bigram_losses
from sidkit.evaluate.interval import bootstrap_interval, bootstrap_p_value
from sidkit.evaluate.machine import machine_facts, version_facts
from sidkit.evaluate.measure import Comparison, compare, measure
from sidkit.evaluate.metrics import catalogue_metrics, target_ranks, user_metrics
from sidkit.evaluate.metrics_file import Metrics, Result
from sidkit.evaluate.predictions import Predictions
from sidkit.evaluate.protocol import Protocol
from sidkit.evaluate.ranks import TargetRanks
from sidkit.evaluate.slices import user_slices

__all__ = [
    "Comparison",
    "Metrics",
    "Predictions",
    "Protocol",
    "Result",
    "TargetRanks",
    "bigram_losses",
    "bootstrap_interval",
    "bootstrap_p_value",
    "catalogue_metrics",
    "compare",
    "machine_facts",
    "measure",
    "target_ranks",
    "user_metrics",
    "user_slices",
    "version_facts",
]
