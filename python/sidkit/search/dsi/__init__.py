"""Differentiable Search Index: token vectors of texts, network and training."""

from sidkit.search.dsi.network import TextToSid
from sidkit.search.dsi.text_vectors import TextVectors, token_vectors
from sidkit.search.dsi.training import Examples, train_text_to_sid

__all__ = ["Examples", "TextToSid", "TextVectors", "token_vectors", "train_text_to_sid"]
