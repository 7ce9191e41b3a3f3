"""Datasets: catalogues and interaction logs, loaded, checked and split."""

from sidkit._extras import require

require("polars", extra="data")

from sidkit.data.catalogue import Catalogue
from sidkit.data.categories import item_categories
from sidkit.data.dataset import Dataset
from sidkit.data.histories import Histories
from sidkit.data.load import load_dataset, read_items
from sidkit.data.markov_world import MarkovWorld
from sidkit.data.parquet import ParquetHistories
from sidkit.data.sequences import Sequences
from sidkit.data.sources import DATASETS, DatasetSource, SourceTables
from sidkit.data.sources._fetch import cache_directory, fetch
from sidkit.data.split import EvaluationSet, Split, SplitKind, Ties
from sidkit.data.summary import Spread, Statistics, statistics
from sidkit.data.synthetic import World, cyclic_world
from sidkit.data.worlds.preferences import PreferenceLog, PreferenceWorld

__all__ = [
    "DATASETS",
    "Catalogue",
    "Dataset",
    "DatasetSource",
    "EvaluationSet",
    "Histories",
    "MarkovWorld",
    "ParquetHistories",
    "PreferenceLog",
    "PreferenceWorld",
    "Sequences",
    "SourceTables",
    "Split",
    "SplitKind",
    "Spread",
    "Statistics",
    "Ties",
    "World",
    "cache_directory",
    "cyclic_world",
    "fetch",
    "item_categories",
    "load_dataset",
    "read_items",
    "statistics",
]
