"""Re-rankers that compare items by the cosines of their vectors."""

from sidkit.rerank.diversity.deduplicate import Deduplicate
from sidkit.rerank.diversity.dpp import DPP
from sidkit.rerank.diversity.max_sum import MaxSum
from sidkit.rerank.diversity.mmr import MMR

__all__ = ["DPP", "MMR", "Deduplicate", "MaxSum"]
