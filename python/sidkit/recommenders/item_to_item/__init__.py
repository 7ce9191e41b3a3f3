"""Recommenders without training: sparse matrices of item-to-item scores."""

from sidkit.recommenders.item_to_item.item_knn import ItemKNN
from sidkit.recommenders.item_to_item.transition_graph import TransitionGraph

__all__ = ["ItemKNN", "TransitionGraph"]
