"""Datasets by name: downloaded or found, converted once, kept in a cache.

Every module here defines one `DatasetSource`, the first name in its `__all__`.
"""

from importlib import import_module

from sidkit._registry import Registry, discover
from sidkit.data.sources._base import DatasetSource, SourceTables

__all__ = ["DATASETS", "DatasetSource", "SourceTables"]


def _built_in() -> dict[str, str]:
    modules = discover(__name__, __path__[0]).values()
    sources = {module: import_module(module) for module in modules}
    return {
        name: module
        for module, source in sources.items()
        for name in getattr(source, source.__all__[0]).names
    }


DATASETS: Registry[type[DatasetSource]] = Registry("sidkit.datasets", "dataset", _built_in())
