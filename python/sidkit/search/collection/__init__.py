"""Document collections: documents, queries and relevance, loaded and checked."""

from sidkit.search.collection.layouts import is_collection, load_collection
from sidkit.search.collection.pseudo_queries import pseudo_queries
from sidkit.search.collection.tables import Collection, QuerySet, document_texts

__all__ = [
    "Collection",
    "QuerySet",
    "document_texts",
    "is_collection",
    "load_collection",
    "pseudo_queries",
]
