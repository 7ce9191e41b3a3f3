"""Work beyond one machine: functions of batches, and the engines that apply them.

EmbedBatch, TokenizeBatch, RecommendBatch   picklable functions of Arrow batches, for any engine
map_parquet                                 apply one to Parquet files on this machine, Ray or Spark
fit_shards                                  fit RQ-KMeans on vectors that are divided among workers
resolve_suffixes, suffix_ranks              collision tokens of a catalogue, out of core
build_trie, write_trie                      trie files, out of core
"""

from sidkit._extras import require

require("pyarrow", extra="data")
require("polars", extra="data")

from sidkit.scale.batches import BatchFunction, EmbedBatch, RecommendBatch, TokenizeBatch
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
