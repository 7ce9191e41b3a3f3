"""Registry of recommenders: one module of this package, or one entry point of a plug-in, for each.

Those that are sparse matrices are in the subpackage `item_to_item`, the simplest in `baselines`.
"""

from pathlib import Path
from typing import Any

from sidkit._registry import Registry, discover

__all__ = ["RECOMMENDERS"]

_SHARED = (
    *(
        "alignment",
        "base",
        "baselines",
        "filters",
        "histories",
        "inference",
        "item_to_item",
        "neural",
        "new_items",
    ),
    *("registry", "storage", "training_data"),
)
_FOLDER = Path(__file__).parent

RECOMMENDERS: Registry[type[Any]] = Registry(
    "sidkit.recommenders",
    "recommender",
    discover("sidkit.recommenders", _FOLDER, skip=_SHARED)
    | discover("sidkit.recommenders.baselines", _FOLDER / "baselines", skip=("exhaustive",))
    | discover("sidkit.recommenders.item_to_item", _FOLDER / "item_to_item", skip=("base", "graph_prior")),
)
