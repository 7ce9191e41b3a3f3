"""Registry of retrievers: one module of `retrievers`, or one entry point of a plug-in, for each."""

from pathlib import Path
from typing import Any

from sidkit._registry import Registry, discover

__all__ = ["RETRIEVERS"]

#: Classes of retrievers by method.
RETRIEVERS: Registry[type[Any]] = Registry(
    "sidkit.retrievers",
    "retriever",
    discover("sidkit.search.retrievers", Path(__file__).parent / "retrievers"),
)
