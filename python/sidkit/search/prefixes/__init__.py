"""Vectors of the prefixes of Semantic IDs: search by them, and learning them from queries."""

from sidkit.search.prefixes.calibration import Trial, balanced_bias
from sidkit.search.prefixes.learning import PrefixTraining, TrainedVectors, train_vectors
from sidkit.search.prefixes.tree import PrefixTree

__all__ = ["PrefixTraining", "PrefixTree", "TrainedVectors", "Trial", "balanced_bias", "train_vectors"]
