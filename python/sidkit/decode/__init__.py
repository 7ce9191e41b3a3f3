"""From a trained model to ranked items: beam search under the trie, and full scoring of the catalogue."""

from sidkit._extras import require

require("torch", extra="train")

from sidkit.decode.beam import SidGenerator, beam_search
from sidkit.decode.dense import rank_by_rqtransformer, rank_by_sasrec
from sidkit.decode.ranking import top_k

__all__ = ["SidGenerator", "beam_search", "rank_by_rqtransformer", "rank_by_sasrec", "top_k"]
