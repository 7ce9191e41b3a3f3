"""Contract of the datasets that are known by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

import polars as pl

from sidkit._arguments import checked

__all__ = ["DatasetSource", "Progress", "SourceTables"]

Progress: TypeAlias = Callable[[int, int], None]


@checked
@dataclass(frozen=True)
class SourceTables:
    """Tables of a dataset, and the files they were made from.

    Attributes:
        interactions: table of events, as for `Dataset.from_frames`.
        items: table of items.
        files: files that were read; their digests are recorded beside the tables.
    """

    interactions: pl.DataFrame
    items: pl.DataFrame
    files: tuple[Path, ...] = ()


@checked
class DatasetSource(ABC):
    """Source of one or several datasets that `load_dataset` knows by name.

    A plug-in registers a subclass under the entry-point group `sidkit.datasets`:

        [project.entry-points."sidkit.datasets"]
        shop = "shop_data:Shop"

    Its tables are converted once and kept in the cache directory.

    Attributes:
        names: names of the datasets that are built into sidkit; a plug-in leaves it empty.
        version: version of the conversion; a higher one makes cached tables outdated.
        name: name of the dataset that this object loads.
    """

    names: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 1

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def read(self, downloads: Path, progress: Progress | None = None) -> SourceTables:
        """Download what is missing, and convert it.

        Args:
            downloads: directory for downloaded files; it may not exist yet.
            progress: called as `progress(done, total)` with bytes, for each file that is downloaded or read.

        Raises:
            DataError: if a file is missing or damaged.
        """
