"""From a trained model to ranked items: beam search under the trie, and full scoring of the catalogue."""

from sidkit._extras import require

require("torch", extra="train")

from sidkit.decode.dense import rank_by_sasrec
from sidkit.decode.ranking import top_k

__all__ = ["rank_by_sasrec", "top_k"]
