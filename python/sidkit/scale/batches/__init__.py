"""Functions of Arrow batches, one per stage that maps rows."""

from sidkit.scale.batches.base import BatchFunction
from sidkit.scale.batches.embed import EmbedBatch
from sidkit.scale.batches.recommend import RecommendBatch
from sidkit.scale.batches.tokenize import TokenizeBatch

__all__ = ["BatchFunction", "EmbedBatch", "RecommendBatch", "TokenizeBatch"]
