"""Work beyond one machine: functions of batches, and the engines that apply them.

EmbedBatch, TokenizeBatch, RecommendBatch   picklable functions of Arrow batches, for any engine
map_parquet                                 apply one to Parquet files on this machine, Ray or Spark
fit_shards                                  fit RQ-KMeans on vectors that are divided among workers
resolve_suffixes, suffix_ranks              collision tokens of a catalogue, out of core
build_trie, write_trie                      trie files, out of core
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sidkit._extras import require

require("pyarrow", extra="data")
require("polars", extra="data")

if TYPE_CHECKING:
    from sidkit.scale.batches.base import BatchFunction
    from sidkit.scale.batches.embed import EmbedBatch
    from sidkit.scale.batches.recommend import RecommendBatch
    from sidkit.scale.batches.tokenize import TokenizeBatch
    from sidkit.scale.engines import ENGINES, Engine
    from sidkit.scale.job import Job, map_parquet
    from sidkit.scale.kmeans import VectorSource, fit_shards
    from sidkit.scale.suffixes import Resolved, SuffixRanks, resolve_suffixes, suffix_ranks
    from sidkit.scale.trie import build_trie, write_trie

__all__ = [
    "ENGINES",
    "BatchFunction",
    "EmbedBatch",
    "Engine",
    "Job",
    "RecommendBatch",
    "Resolved",
    "SuffixRanks",
    "TokenizeBatch",
    "VectorSource",
    "build_trie",
    "fit_shards",
    "map_parquet",
    "resolve_suffixes",
    "suffix_ranks",
    "write_trie",
]

# Modules of the names, which are imported on first use: a worker imports only what its function needs.
_LAZY = {
    "batches.base": ("BatchFunction",),
    "batches.embed": ("EmbedBatch",),
    "batches.recommend": ("RecommendBatch",),
    "batches.tokenize": ("TokenizeBatch",),
    "engines": ("ENGINES", "Engine"),
    "job": ("Job", "map_parquet"),
    "kmeans": ("VectorSource", "fit_shards"),
    "suffixes": ("Resolved", "SuffixRanks", "resolve_suffixes", "suffix_ranks"),
    "trie": ("build_trie", "write_trie"),
}
_MODULE = {name: module for module, names in _LAZY.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module `sidkit.scale` has no attribute `{name}`")
    value = globals()[name] = getattr(import_module(f"sidkit.scale.{_MODULE[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE})
