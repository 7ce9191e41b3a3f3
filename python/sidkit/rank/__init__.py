"""Semantic IDs as features of a ranking model: n-grams of digits instead of a random hash of the item's id.

    SidEmbedding      the torch layer: one table per kind of n-gram, summed
    Pieces            runs of digits learned from the catalogue, of any length
    impressions       labelled events in time order, with what each user had seen before
    RankModel         the model that the comparison trains
    compare           representations with equal budgets, trained and measured side by side

`prefix_coherence` of `sidkit.quantize` and `drift` of `sidkit.ids` are found here too.

After Singh et al., arXiv 2306.08121, and Zheng et al., arXiv 2504.02137.
"""

from sidkit._extras import require

require("torch", extra="train")
require("polars", extra="train")

from sidkit.ids.drift import Drift, drift
from sidkit.quantize.coherence import Coherence, prefix_coherence
from sidkit.rank.compare import Comparison, Result, compare
from sidkit.rank.embedding import SidEmbedding, id_rows, jagged_rows
from sidkit.rank.impressions import Impressions, TimeSplit, impressions, split_by_time
from sidkit.rank.metrics import auc, log_loss
from sidkit.rank.model import RankModel
from sidkit.rank.pieces import Pieces
from sidkit.rank.representations import REPRESENTATIONS, ContentVectors, TableVectors, item_vectors
from sidkit.rank.training import fit_ranker, predict_ranker

__all__ = [
    "REPRESENTATIONS",
    "Coherence",
    "Comparison",
    "ContentVectors",
    "Drift",
    "Impressions",
    "Pieces",
    "RankModel",
    "Result",
    "SidEmbedding",
    "TableVectors",
    "TimeSplit",
    "auc",
    "compare",
    "drift",
    "fit_ranker",
    "id_rows",
    "impressions",
    "item_vectors",
    "jagged_rows",
    "log_loss",
    "predict_ranker",
    "prefix_coherence",
    "split_by_time",
]
