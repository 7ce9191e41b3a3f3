"""Registry of re-rankers: one module of this package, or one entry point of a plug-in, for each."""

from pathlib import Path
from typing import Any

from sidkit._registry import Registry, discover

__all__ = ["RERANKERS"]

_SHARED = ("attributes", "base", "cached", "pipeline", "positions", "registry", "vectors")

#: Classes of re-rankers by method.
RERANKERS: Registry[type[Any]] = Registry(
    "sidkit.rerankers",
    "re-ranker",
    discover("sidkit.rerank", Path(__file__).parent, skip=_SHARED),
)
