"""Evaluation of recommendations: by item, over the full catalogue, with intervals and the protocol.

Every recommender gives `Predictions`. All metrics are computed from those, so they can be recomputed, sliced
and compared later without the model.

    Predictions                       ranked items of some users, and the item each of them took next
    user_metrics, catalogue_metrics   Recall, NDCG, MRR of each user; coverage and more of the lists
    TargetRanks                       rank of each target: what stored runs keep for paired comparisons
    bootstrap_interval, compare       95 % intervals of a mean, and of the difference of two models
    bigram_losses                     losses of a bigram baseline, which a generative model must beat
    ListFacts, list_metrics           diversity, novelty, calibration, …; see `sidkit.evaluate.lists`
    IPS, SNIPS, DR                    off-policy evaluation: value of a policy from the log of another
    measure                           all metrics for all slices, as a list of `Result`
    Evaluation                        what `Recommender.evaluate` returns
    Protocol, Metrics                 contents of `metrics.json`
"""

from sidkit._extras import require

require("polars", extra="data")

from sidkit.evaluate.bigram import bigram_losses
from sidkit.evaluate.evaluation import Evaluation
from sidkit.evaluate.interval import bootstrap_interval, bootstrap_p_value
from sidkit.evaluate.lists import ListFacts, item_ages, list_metrics
from sidkit.evaluate.machine import machine_facts, version_facts
from sidkit.evaluate.measure import Comparison, compare, measure
from sidkit.evaluate.metrics import catalogue_metrics, target_ranks, user_metrics
from sidkit.evaluate.metrics_file import Metrics, Result
from sidkit.evaluate.off_policy import DR, IPS, SNIPS, OffPolicyEstimate
from sidkit.evaluate.predictions import Predictions
from sidkit.evaluate.protocol import Protocol
from sidkit.evaluate.ranks import TargetRanks
from sidkit.evaluate.slices import cold_slices, user_slices

__all__ = [
    "DR",
    "IPS",
    "SNIPS",
    "Comparison",
    "Evaluation",
    "ListFacts",
    "Metrics",
    "OffPolicyEstimate",
    "Predictions",
    "Protocol",
    "Result",
    "TargetRanks",
    "bigram_losses",
    "bootstrap_interval",
    "bootstrap_p_value",
    "catalogue_metrics",
    "cold_slices",
    "compare",
    "item_ages",
    "list_metrics",
    "machine_facts",
    "measure",
    "target_ranks",
    "user_metrics",
    "user_slices",
    "version_facts",
]
