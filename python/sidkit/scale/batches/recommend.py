"""Recommendations for batches of histories."""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from sidkit.errors import ConfigError, DataError
from sidkit.recommenders import Recommender, load_model
from sidkit.run.opened import open_run
from sidkit.scale.batches.base import BatchFunction, file_version

__all__ = ["RecommendBatch"]

_RUN, _MODEL = "run.toml", "model.json"


class RecommendBatch(BatchFunction):
    """Recommended items of interaction histories.

    Args:
        path: directory of a saved recommender, or a run directory.
        k: items per history.
        history: column of the histories, lists of item ids, oldest first. A null is an empty history.
        keep: columns to copy, such as the user id.
        model: name of a model of the run; None for its default. Only for a run directory.
        exclude_seen: exclude the items of each history.
        scoring: one of the `scorings` of the recommender; None for the first.

    Example:
        >>> recommend = RecommendBatch("runs/shop", k=20)  # doctest: +SKIP
        >>> recommend(batch)["items"]  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        k: int = 10,
        history: str = "history",
        keep: Sequence[str] = ("user_id",),
        model: str | None = None,
        exclude_seen: bool = True,
        scoring: str | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self.k = k
        self.history = history
        self.keep = tuple(keep)
        self.model = model
        self.exclude_seen = exclude_seen
        self.scoring = scoring

    @property
    def recommender(self) -> Recommender:
        """Recommender of the path, loaded on first use."""
        return _loaded(file_version(self._description), self.model)

    @property
    def _description(self) -> Path:
        """File whose change means another recommender."""
        place = Path(self.path)
        if (place / _RUN).is_file():
            return place / "stages.json"
        if self.model is not None:
            raise ConfigError(
                f"`model` belongs to a run: expected a directory with `{_RUN}`, got `{place}`. Leave it out."
            )
        return place / _MODEL

    def _reads(self) -> Sequence[str]:
        return (self.history,)

    def _fields(self, source: pa.Schema) -> list[pa.Field]:
        integers = self.recommender.item_ids_.dtype.is_integer()
        kind = pa.int64() if integers else pa.string()
        return [pa.field("items", pa.list_(kind)), pa.field("scores", pa.list_(pa.float32()))]

    def _compute(self, table: pa.Table) -> list[pa.Array]:
        histories = pl.Series(table.column(self.history))
        if not isinstance(histories.dtype, pl.List | pl.Array):
            raise DataError(
                f"the column `{self.history}` has the wrong type: expected lists of item ids, got "
                f"{histories.dtype}. Write one list per user."
            )
        histories = histories.fill_null([])
        ids, scores = self.recommender.recommend(
            histories, self.k, exclude_seen=self.exclude_seen, scoring=self.scoring
        )
        found = np.isfinite(scores)
        offsets = pa.array(np.concatenate([[0], found.sum(axis=1).cumsum()]).astype(np.int32))
        items, lists = (field.type for field in self._fields(table.schema))
        return [
            pa.ListArray.from_arrays(offsets, pa.array(ids[found], items.value_type)),
            pa.ListArray.from_arrays(offsets, pa.array(scores[found], lists.value_type)),
        ]

    def _version(self) -> Any:
        return list(file_version(self._description))


@lru_cache(maxsize=2)
def _loaded(version: tuple[str, int, int], model: str | None) -> Recommender:
    place = Path(version[0]).parent
    in_run = (place / _RUN).is_file()
    found: Recommender = open_run(place, model=model).recommender() if in_run else load_model(place)
    return found
