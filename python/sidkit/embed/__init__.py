"""Item vectors: from texts, precomputed, or from collaborative signal."""

from sidkit._extras import require

require("polars", extra="embed")
require("safetensors", extra="embed")

from sidkit.embed.collaborative import collaborative_embeddings
from sidkit.embed.encoder import embed_texts
from sidkit.embed.factorization import factorization_embeddings
from sidkit.embed.items import embed_items
from sidkit.embed.model import model_directory
from sidkit.embed.text import default_template, item_texts
from sidkit.embed.vectors import load_vectors

__all__ = [
    "collaborative_embeddings",
    "default_template",
    "embed_items",
    "embed_texts",
    "factorization_embeddings",
    "item_texts",
    "load_vectors",
    "model_directory",
]
