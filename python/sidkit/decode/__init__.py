"""From a trained model to ranked items: beam search under the trie, and full scoring of the catalogue."""

from sidkit._extras import require

require("torch", extra="train")

from sidkit.decode.beam import beam_search
from sidkit.decode.dense import rank_by_rqtransformer, rank_by_scores
from sidkit.decode.diverse import diverse_beam_search
from sidkit.decode.generative import GenerativeModel
from sidkit.decode.ranking import top_k
from sidkit.decode.sampling import sample_items
from sidkit.decode.static_layout import StaticLayout, to_static
from sidkit.decode.tensors import TrieTensors

__all__ = [
    "GenerativeModel",
    "StaticLayout",
    "TrieTensors",
    "beam_search",
    "diverse_beam_search",
    "rank_by_rqtransformer",
    "rank_by_scores",
    "sample_items",
    "to_static",
    "top_k",
]
