"""Shared state of the stages of a run: settings, run directory, dataset, results of earlier stages."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.data import DATASETS, Dataset, Split, load_dataset
from sidkit.embed.vectors import load_vectors
from sidkit.ids import SidTable
from sidkit.run.config import DataConfig, RunConfig, flatten
from sidkit.run.directory import RunDirectory
from sidkit.run.stages.files import EMBEDDINGS, SIDS

__all__ = ["Context", "load_source"]


class Context:
    """Settings and directory of a run; everything else is read when a stage first needs it.

    Attributes:
        config: settings of the run.
        directory: where its files are.
    """

    def __init__(self, config: RunConfig, directory: RunDirectory) -> None:
        self.config = config
        self.directory = directory

    @cached_property
    def dataset(self) -> Dataset:
        """Dataset of the run."""
        return load_source(self.config.data, self.source)

    @cached_property
    def source(self) -> str:
        """Location of the dataset, relative to the current directory."""
        source = self.config.data.source
        return source if source in DATASETS else self._located("data", "source", source)

    @cached_property
    def vector_file(self) -> str | None:
        """Location of the file of precomputed vectors, if the run uses one."""
        vectors = self.config.embed.vectors
        return None if vectors is None else self._located("embed", "vectors", vectors)

    def _located(self, stage: str, key: str, given: str) -> str:
        """Where the stage found the file or directory of a setting, if that has not changed since.

        A relative path is relative to the directory in which the run began, which may be another one now.
        """
        record = self.directory.records.get(stage)
        if record is None or record.settings.get(f"{stage}.{key}") != given:
            return given
        noted = record.facts.get(key)
        return noted if isinstance(noted, str) and Path(noted).exists() else given

    @cached_property
    def split(self) -> Split:
        """Training histories, validation and test examples."""
        data = self.config.data
        return self.dataset.split(
            data.split,
            ties=data.ties,
            seed=data.seed,
            validation_share=data.validation_share,
            test_share=data.test_share,
            share=data.share,
        )

    def vectors(self, name: str = EMBEDDINGS) -> npt.NDArray[np.float32]:
        """Read one vector per item, float32 (items, dim), from a file of an earlier stage."""
        return load_vectors(self.directory.path / name, self.dataset.item_ids)

    def sids(self) -> SidTable:
        """Read the Semantic IDs of all items."""
        return SidTable.load(self.directory.path / SIDS)

    def settings(self, *sections: str) -> dict[str, Any]:
        """Return the settings of some tables, `{"section.key": value}`."""
        prefixes = tuple(f"{section}." for section in sections)
        return {key: value for key, value in flatten(self.config).items() if key.startswith(prefixes)}


def load_source(data: DataConfig, source: str | None = None) -> Dataset:
    """Load the dataset of a configuration.

    Args:
        data: the table `[data]`.
        source: where the dataset is now, if not where `data.source` says.
    """
    return load_dataset(
        data.source if source is None else source,
        columns=data.columns or None,
        min_user_events=data.min_user_events,
        min_item_events=data.min_item_events,
        unknown_items=data.unknown_items,
    )
