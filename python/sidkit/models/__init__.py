"""Models that recommend: generators of Semantic IDs, and the baselines they are measured against."""

from sidkit._extras import require

require("torch", extra="train")

from sidkit.models.actionpiece import ActionPieceState, ActionPieceTIGER
from sidkit.models.decoderonly import DecoderOnly, DecoderOnlyState
from sidkit.models.gru4rec import GRU4Rec
from sidkit.models.rqtransformer import RQState, RQTransformer
from sidkit.models.sasrec import SASRec
from sidkit.models.saving import Trained, load_model, save_model
from sidkit.models.sid_tree import SidTree
from sidkit.models.tiger import TIGER, TigerState

__all__ = [
    "TIGER",
    "ActionPieceState",
    "ActionPieceTIGER",
    "DecoderOnly",
    "DecoderOnlyState",
    "GRU4Rec",
    "RQState",
    "RQTransformer",
    "SASRec",
    "SidTree",
    "TigerState",
    "Trained",
    "load_model",
    "save_model",
]
