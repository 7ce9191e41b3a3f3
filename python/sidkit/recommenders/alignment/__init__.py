"""Alignment of generative recommenders: their policies, and metrics during the training."""

from sidkit._extras import require

require("torch", extra="train")

from sidkit.recommenders.alignment.aligning import Alignable
from sidkit.recommenders.alignment.exact import ExactPolicy
from sidkit.recommenders.alignment.monitor import Monitor
from sidkit.recommenders.alignment.trie import TriePolicy

__all__ = ["Alignable", "ExactPolicy", "Monitor", "TriePolicy"]
