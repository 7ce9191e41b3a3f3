"""Catalogues and interaction logs: loaded, checked, parted into training, validation and test."""

from sidkit._extras import require

require("polars", extra="data")

from sidkit.data.dataset import Dataset, Ties  # noqa: E402
from sidkit.data.load import load_dataset  # noqa: E402
from sidkit.data.sequences import Sequences  # noqa: E402
from sidkit.data.split import EvalSet, Split, SplitKind, split_dataset  # noqa: E402
from sidkit.data.synthetic import World, cyclic_world  # noqa: E402

__all__ = [
    "Dataset",
    "EvalSet",
    "Sequences",
    "Split",
    "SplitKind",
    "Ties",
    "World",
    "cyclic_world",
    "load_dataset",
    "split_dataset",
]
