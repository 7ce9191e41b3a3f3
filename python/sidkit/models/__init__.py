"""Torch networks of the recommenders: flat parameters, one file each."""

from sidkit._extras import require

require("torch", extra="train")

from sidkit.models.actionpiece import ActionPieceNetwork, ActionPieceState
from sidkit.models.bsarec import BSARecNetwork
from sidkit.models.decoderonly import DecoderOnlyNetwork, DecoderOnlyState
from sidkit.models.gru4rec import GRU4RecNetwork
from sidkit.models.rqtransformer import RQTransformerNetwork
from sidkit.models.sasrec import SASRecNetwork
from sidkit.models.tiger import TIGERNetwork, TIGERState
from sidkit.models.tree.sid_tree import SidTree
from sidkit.models.weights import load_network, save_network

__all__ = [
    "ActionPieceNetwork",
    "ActionPieceState",
    "BSARecNetwork",
    "DecoderOnlyNetwork",
    "DecoderOnlyState",
    "GRU4RecNetwork",
    "RQTransformerNetwork",
    "SASRecNetwork",
    "SidTree",
    "TIGERNetwork",
    "TIGERState",
    "load_network",
    "save_network",
]
