"""Models that recommend: generators of Semantic IDs, and the baselines they are measured against."""

from sidkit._extras import require

require("torch", extra="train")

from sidkit.models.actionpiece import ActionPieceNetwork, ActionPieceState
from sidkit.models.decoderonly import DecoderOnlyNetwork, DecoderOnlyState
from sidkit.models.gru4rec import GRU4RecNetwork
from sidkit.models.rqtransformer import RQState, RQTransformerNetwork
from sidkit.models.sasrec import SASRecNetwork
from sidkit.models.saving import Trained, load_model, save_model
from sidkit.models.sid_tree import SidTree
from sidkit.models.tiger import TIGERNetwork, TigerState

__all__ = [
    "ActionPieceNetwork",
    "ActionPieceState",
    "DecoderOnlyNetwork",
    "DecoderOnlyState",
    "GRU4RecNetwork",
    "RQState",
    "RQTransformerNetwork",
    "SASRecNetwork",
    "SidTree",
    "TIGERNetwork",
    "TigerState",
    "Trained",
    "load_model",
    "save_model",
]
