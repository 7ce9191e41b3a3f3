"""Recommenders that use no transitions and no training: popularity, and content alone."""

from sidkit.recommenders.baselines.content_knn import ContentKNN
from sidkit.recommenders.baselines.popularity import Popularity

__all__ = ["ContentKNN", "Popularity"]
