"""Registry of re-rankers: one module of this package, or one entry point of a plug-in, for each.

Those that compare items by vectors are in the subpackage `diversity`.
"""

from pathlib import Path
from typing import Any

from sidkit._registry import Registry, discover

__all__ = ["RERANKERS"]

_SHARED = ("attributes", "base", "cached", "diversity", "pipeline", "positions", "registry")
_FOLDER = Path(__file__).parent

#: Classes of re-rankers by method.
RERANKERS: Registry[type[Any]] = Registry(
    "sidkit.rerankers",
    "re-ranker",
    discover("sidkit.rerank", _FOLDER, skip=_SHARED)
    | discover("sidkit.rerank.diversity", _FOLDER / "diversity", skip=("vectors",)),
)
