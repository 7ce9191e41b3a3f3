"""Registry of recommenders: one module of this package, or one entry point of a plug-in, for each.

Those that are sparse matrices are in the subpackage `item_to_item`.
"""

from pathlib import Path
from typing import Any

from sidkit._registry import Registry, discover

__all__ = ["RECOMMENDERS"]

_SHARED = ("base", "filters", "histories", "item_to_item", "neural", "registry", "storage", "training_data")
_FOLDER = Path(__file__).parent

RECOMMENDERS: Registry[type[Any]] = Registry(
    "sidkit.recommenders",
    "recommender",
    discover("sidkit.recommenders", _FOLDER, skip=_SHARED)
    | discover("sidkit.recommenders.item_to_item", _FOLDER / "item_to_item", skip=("base", "graph_prior")),
)
