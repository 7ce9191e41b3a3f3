"""Semantic IDs as features of a ranking model: n-grams of digits instead of a random hash of the item's id.

    SidEmbedding      the torch layer: one table per kind of n-gram, summed
    Pieces            runs of digits learned from the catalogue, of any length
    impressions       labelled events in time order, with what each user had seen before
    RankModel         the model that the comparison trains
    compare           representations with equal budgets, trained and measured side by side
    retrain           what a tokenizer of older or of newer items is to the ranking model
    sweep             kinds of tokenizer, levels and codes at one budget

`prefix_coherence` of `sidkit.quantize` and `drift` of `sidkit.ids` are found here too.

After Singh et al., arXiv 2306.08121, and Zheng et al., arXiv 2504.02137.
"""

from sidkit._extras import require

require("torch", extra="train")
require("polars", extra="train")

from sidkit.ids.drift import Drift, drift
from sidkit.quantize.coherence import Coherence, coherence_from_json, coherence_json, prefix_coherence
from sidkit.rank.compare import Comparison, Result, compare
from sidkit.rank.embedding import SidEmbedding, id_rows, jagged_rows
from sidkit.rank.impressions import Impressions, TimeSplit, impressions, split_by_time
from sidkit.rank.metrics import auc, log_loss, user_auc
from sidkit.rank.model import RankModel
from sidkit.rank.pieces import Pieces
from sidkit.rank.representations import REPRESENTATIONS, ContentVectors, TableVectors, item_vectors
from sidkit.rank.retrain import Retraining, halves_by_appearance, retrain
from sidkit.rank.sweep import TOKENIZERS, Cell, Sweep, Swept, make_tokenizer, sweep, sweep_grid
from sidkit.rank.training import fit_ranker, predict_ranker

__all__ = [
    "REPRESENTATIONS",
    "TOKENIZERS",
    "Cell",
    "Coherence",
    "Comparison",
    "ContentVectors",
    "Drift",
    "Impressions",
    "Pieces",
    "RankModel",
    "Result",
    "Retraining",
    "SidEmbedding",
    "Sweep",
    "Swept",
    "TableVectors",
    "TimeSplit",
    "auc",
    "coherence_from_json",
    "coherence_json",
    "compare",
    "drift",
    "fit_ranker",
    "halves_by_appearance",
    "id_rows",
    "impressions",
    "item_vectors",
    "jagged_rows",
    "log_loss",
    "make_tokenizer",
    "predict_ranker",
    "prefix_coherence",
    "retrain",
    "split_by_time",
    "sweep",
    "sweep_grid",
    "user_auc",
]
