"""Recommenders without transitions and training: popularity, content alone, and the base of their kind."""

from sidkit.recommenders.baselines.content_knn import ContentKNN
from sidkit.recommenders.baselines.exhaustive import ExhaustiveRecommender
from sidkit.recommenders.baselines.popularity import Popularity

__all__ = ["ContentKNN", "ExhaustiveRecommender", "Popularity"]
