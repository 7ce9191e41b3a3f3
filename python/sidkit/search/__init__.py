"""Search: retrieval of documents by Semantic IDs, with baselines, metrics and growing collections.

    collection      documents, queries and relevance labels; layouts of sidkit, BEIR and TREC
    retrievers      SidRetriever, the default; DSI; BM25, Dense, IVF and Hybrid
    prefixes        vectors of the prefixes of Semantic IDs: beam search, and training on queries
    evaluation      metrics, intervals, paired tests, TREC run files

All retrievers have the same interface, that of `Retriever`. They are imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sidkit._extras import require

require("polars", extra="search")
require("safetensors", extra="search")
require("pydantic", extra="search")
require("huggingface_hub", extra="search")

from sidkit.search.base import Retriever
from sidkit.search.collection import (
    Collection,
    QuerySet,
    document_texts,
    is_collection,
    load_collection,
    pseudo_queries,
)
from sidkit.search.evaluation import (
    Comparison,
    SearchEvaluation,
    query_metrics,
    read_trec_run,
    write_trec_qrels,
    write_trec_run,
)
from sidkit.search.registry import RETRIEVERS
from sidkit.search.storage import load_retriever

if TYPE_CHECKING:
    from sidkit.search.retrievers.bm25 import BM25
    from sidkit.search.retrievers.dense import Dense
    from sidkit.search.retrievers.dsi import DSI
    from sidkit.search.retrievers.hybrid import Hybrid
    from sidkit.search.retrievers.ivf import IVF
    from sidkit.search.retrievers.sid import SidRetriever

__all__ = [
    "BM25",
    "DSI",
    "IVF",
    "RETRIEVERS",
    "Collection",
    "Comparison",
    "Dense",
    "Hybrid",
    "QuerySet",
    "Retriever",
    "SearchEvaluation",
    "SidRetriever",
    "document_texts",
    "is_collection",
    "load_collection",
    "load_retriever",
    "pseudo_queries",
    "query_metrics",
    "read_trec_run",
    "write_trec_qrels",
    "write_trec_run",
]

_MODULES = {
    "BM25": "bm25",
    "DSI": "dsi",
    "Dense": "dense",
    "Hybrid": "hybrid",
    "IVF": "ivf",
    "SidRetriever": "sid",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module `sidkit.search` has no attribute `{name}`")
    value = globals()[name] = getattr(import_module(f"sidkit.search.retrievers.{_MODULES[name]}"), name)
    return value
