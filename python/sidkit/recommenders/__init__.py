"""Recommenders: settings, `fit`, `recommend`, `similar_items`, `evaluate`, `save` and `load`.

    SASRec, BSARec, GRU4Rec    score every item by one vector; the baselines
    TransitionGraph, ItemKNN   score items by counts of transitions or shared users, without training
    ContentKNN                 scores items by content alone, without training
    RQTransformer              one pass over items, then the Semantic ID of the next; the default
    TIGER, ActionPieceTIGER    encoder-decoder over tokens, or over merged tokens
    DecoderOnly                language model of Semantic IDs
    Popularity                 the same list for everyone

All recommenders have the same interface, that of `Recommender`; those that score the whole catalogue are
`ExhaustiveRecommender`s. They are imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sidkit._extras import require

require("polars", extra="data")

from sidkit.recommenders.base import Recommender
from sidkit.recommenders.baselines import ExhaustiveRecommender
from sidkit.recommenders.filters import Query
from sidkit.recommenders.registry import RECOMMENDERS
from sidkit.recommenders.storage import load_model
from sidkit.recommenders.training_data import TrainingData

if TYPE_CHECKING:
    from sidkit.recommenders.actionpiece import ActionPieceTIGER
    from sidkit.recommenders.baselines import ContentKNN, Popularity
    from sidkit.recommenders.bsarec import BSARec
    from sidkit.recommenders.decoderonly import DecoderOnly
    from sidkit.recommenders.gru4rec import GRU4Rec
    from sidkit.recommenders.item_to_item import ItemKNN, TransitionGraph
    from sidkit.recommenders.rqtransformer import RQTransformer
    from sidkit.recommenders.sasrec import SASRec
    from sidkit.recommenders.tiger import TIGER

__all__ = [
    "RECOMMENDERS",
    "TIGER",
    "ActionPieceTIGER",
    "BSARec",
    "ContentKNN",
    "DecoderOnly",
    "ExhaustiveRecommender",
    "GRU4Rec",
    "ItemKNN",
    "Popularity",
    "Query",
    "RQTransformer",
    "Recommender",
    "SASRec",
    "TrainingData",
    "TransitionGraph",
    "load_model",
]

_MODULES = {
    "ActionPieceTIGER": "actionpiece",
    "BSARec": "bsarec",
    "ContentKNN": "baselines",
    "DecoderOnly": "decoderonly",
    "GRU4Rec": "gru4rec",
    "ItemKNN": "item_to_item",
    "Popularity": "baselines",
    "RQTransformer": "rqtransformer",
    "SASRec": "sasrec",
    "TIGER": "tiger",
    "TransitionGraph": "item_to_item",
}
_WITHOUT_TORCH = ("ContentKNN", "ItemKNN", "Popularity", "TransitionGraph")


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module `sidkit.recommenders` has no attribute `{name}`")
    if name not in _WITHOUT_TORCH:
        require("torch", extra="train")
    value = globals()[name] = getattr(import_module(f"sidkit.recommenders.{_MODULES[name]}"), name)
    return value
