"""Semantic IDs as features of a ranking model: n-grams of tokens instead of a random hash of the item's id.

    SidEmbedding      the torch layer: one table per kind of n-gram, summed
    Pieces            runs of tokens learned from the catalogue, of any length
    impressions       labelled events in time order, with what each user had seen before
    RankModel         the model that the comparison trains
    compare           representations with equal budgets, trained and measured side by side
    retrain           what a tokenizer of older or of newer items is to the ranking model
    sweep             kinds of tokenizer, levels and codes at one budget

`prefix_coherence` of `sidkit.tokenizers` and `drift` of `sidkit.ids` are found here too.

After Singh et al., arXiv 2306.08121, and Zheng et al., arXiv 2504.02137.
"""

from sidkit._extras import require

require("torch", extra="train")
require("polars", extra="train")

from sidkit.ranking.compare import Comparison, Result, compare
from sidkit.ranking.embedding import SidEmbedding, id_rows, jagged_rows
from sidkit.ranking.impressions import Impressions, TimeSplit, impressions, split_by_time
from sidkit.ranking.metrics import auc, log_loss, user_auc
from sidkit.ranking.model import RankModel
from sidkit.ranking.pieces import Pieces
from sidkit.ranking.representations import REPRESENTATIONS, ContentVectors, TableVectors, item_vectors
from sidkit.ranking.training import fit_ranker, predict_ranker

__all__ = [
    "REPRESENTATIONS",
    "Comparison",
    "ContentVectors",
    "Impressions",
    "Pieces",
    "RankModel",
    "Result",
    "SidEmbedding",
    "TableVectors",
    "TimeSplit",
    "auc",
    "compare",
    "fit_ranker",
    "id_rows",
    "impressions",
    "item_vectors",
    "jagged_rows",
    "log_loss",
    "predict_ranker",
    "split_by_time",
    "user_auc",
]
