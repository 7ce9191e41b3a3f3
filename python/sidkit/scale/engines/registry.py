"""Registry of engines: one module of this package, or one entry point of a plug-in, for each."""

from pathlib import Path
from typing import Any

from sidkit._registry import Registry, discover

__all__ = ["ENGINES"]

#: Classes of engines by method.
ENGINES: Registry[type[Any]] = Registry(
    "sidkit.engines",
    "engine",
    discover("sidkit.scale.engines", Path(__file__).parent, skip=("base", "registry")),
)
