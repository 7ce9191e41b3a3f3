"""Registry of recommenders: one module of this package, or one entry point of a plug-in, for each."""

from pathlib import Path
from typing import Any

from sidkit._registry import Registry, discover

__all__ = ["RECOMMENDERS"]

_SHARED = ("base", "filters", "histories", "neural", "registry", "storage", "training_data")

RECOMMENDERS: Registry[type[Any]] = Registry(
    "sidkit.recommenders",
    "recommender",
    discover("sidkit.recommenders", Path(__file__).parent, skip=_SHARED),
)
