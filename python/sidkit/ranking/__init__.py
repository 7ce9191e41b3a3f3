"""Semantic IDs as features of a ranking model: n-grams of tokens instead of a random hash of the item's id.

    SidEmbedding        torch layer with one table per kind of n-gram, summed
    Pieces              token runs of any length, learned from the catalogue
    impressions         labelled events in time order, with the history of each user
    RankModel           the ranking model that the comparison trains
    compare             representations with equal budgets, trained and measured under equal settings
    Sweep, Retraining   results of `sidkit.experiments.sweep` and `sidkit.experiments.drift`

After Singh et al., arXiv 2306.08121, and Zheng et al., arXiv 2504.02137.
"""

from sidkit._extras import require

require("torch", extra="train")
require("polars", extra="train")

from sidkit.ranking.compare import Comparison, Result, compare
from sidkit.ranking.embedding import SidEmbedding, id_rows, jagged_rows
from sidkit.ranking.impressions import Impressions, TimeSplit, impressions, split_by_time
from sidkit.ranking.items import RankedItems
from sidkit.ranking.metrics import auc, log_loss, user_auc
from sidkit.ranking.model import RankModel
from sidkit.ranking.pieces import Pieces
from sidkit.ranking.representations import REPRESENTATIONS, ContentVectors, TableVectors, item_vectors
from sidkit.ranking.retraining import Retraining
from sidkit.ranking.settings import RankSettings
from sidkit.ranking.sweep import Cell, Sweep, Swept
from sidkit.ranking.training import fit_ranker, predict_ranker

__all__ = [
    "REPRESENTATIONS",
    "Cell",
    "Comparison",
    "ContentVectors",
    "Impressions",
    "Pieces",
    "RankModel",
    "RankSettings",
    "RankedItems",
    "Result",
    "Retraining",
    "SidEmbedding",
    "Sweep",
    "Swept",
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
