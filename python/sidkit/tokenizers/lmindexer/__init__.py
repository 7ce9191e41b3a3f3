"""LMIndexer: codes from which item text can be predicted."""

from sidkit.tokenizers.lmindexer.lmindexer import LMIndexer

__all__ = ["LMIndexer"]
