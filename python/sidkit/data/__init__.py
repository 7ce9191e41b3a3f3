"""Catalogues and interaction logs: loaded, checked, parted into training, validation and test."""

from sidkit._extras import require

require("polars", extra="data")

from sidkit.data.categories import item_categories
from sidkit.data.dataset import Dataset, Ties
from sidkit.data.load import load_dataset, read_items
from sidkit.data.sequences import Sequences
from sidkit.data.sources import built_in_names, cache_folder, fetch
from sidkit.data.split import EvaluationSet, Split, SplitKind, split_dataset
from sidkit.data.summary import Spread, Statistics, statistics
from sidkit.data.synthetic import World, cyclic_world

__all__ = [
    "Dataset",
    "EvaluationSet",
    "Sequences",
    "Split",
    "SplitKind",
    "Spread",
    "Statistics",
    "Ties",
    "World",
    "built_in_names",
    "cache_folder",
    "cyclic_world",
    "fetch",
    "item_categories",
    "load_dataset",
    "read_items",
    "split_dataset",
    "statistics",
]
