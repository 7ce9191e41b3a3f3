"""Item texts and their vectors: from a sentence-transformers model with a cache, or precomputed."""

from sidkit._extras import require

require("polars", extra="embed")
require("safetensors", extra="embed")
require("huggingface_hub", extra="embed")

from sidkit.embed.encoder import embed_texts
from sidkit.embed.items import embed_items
from sidkit.embed.model import model_directory
from sidkit.embed.text import default_template, item_texts
from sidkit.embed.vectors import load_vectors

__all__ = ["default_template", "embed_items", "embed_texts", "item_texts", "load_vectors", "model_directory"]
