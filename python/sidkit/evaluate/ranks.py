"""Rank of every user's target in the lists of several models.

Recall, NDCG and MRR of a user at any cut-off follow from one number, the rank of the target. A file of these
ranks is small, and sufficient to compare stored runs user by user and to average them over seeds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow
from pyarrow import parquet

from sidkit._arguments import Count, check_argument, checked
from sidkit._files import UNSEALED, atomic_path, seal
from sidkit._tables import read_parquet
from sidkit.errors import ConfigError, DataError, FormatError
from sidkit.evaluate.metrics import metric_of_ranks, target_ranks
from sidkit.evaluate.predictions import Predictions

__all__ = ["TargetRanks"]

Int32 = npt.NDArray[np.int32]
#: A model and an `exclude_seen` setting.
Ranking = tuple[str, bool]
# Columns are named `rank <model>@<length>`, with a suffix if seen items are included.
_PREFIX, _SEEN_INCLUDED = "rank ", " seen_included"


@checked
@dataclass(frozen=True, eq=False)
class TargetRanks:
    """Rank of each user's target, for one or more models.

    Attributes:
        users: int32 (m,), the user of each row.
        targets: int32 (m,), the item each user took next.
        ranks: for each model and `exclude_seen` setting int (m,): 1 for the top of the list, 0 if the target
            is not in it.
        lengths: for each of these, the length of the lists; a cut-off beyond it cannot be measured.

    Raises:
        DataError: if shapes differ, or a rank is outside 0..length.
    """

    users: Int32
    targets: Int32
    ranks: Mapping[Ranking, npt.NDArray[np.integer]]
    lengths: Mapping[Ranking, int]

    def __post_init__(self) -> None:
        """Validate the arrays."""
        rows = self.users.shape
        if len(rows) != 1 or self.targets.shape != rows or set(self.ranks) != set(self.lengths):
            raise DataError(
                f"`users` and `targets` must be (m,), and every model must have a length, got {rows}, "
                f"{self.targets.shape}, models {sorted(self.ranks)}, lengths of {sorted(self.lengths)}"
            )
        kind = npt.NDArray[np.integer[Any]]
        ranks = {key: check_argument(f"ranks of {key[0]}", each, kind) for key, each in self.ranks.items()}
        object.__setattr__(self, "ranks", ranks)
        for key, column in ranks.items():
            model, most = key[0], self.lengths[key]
            if column.shape != rows or (column.size and not (0 <= column.min() <= column.max() <= most)):
                raise DataError(f"ranks of `{model}` must be {rows}, each in 0..{most}")

    @property
    def models(self) -> list[str]:
        """Names of the models, in order."""
        return list(dict.fromkeys(model for model, _ in self.ranks))

    @property
    def exclude_seen(self) -> tuple[bool, ...]:
        """The `exclude_seen` settings, True first."""
        return tuple(sorted({setting for _, setting in self.ranks}, reverse=True))

    @classmethod
    def of(cls, predictions: Iterable[Predictions], n_items: Count) -> TargetRanks:
        """Find the targets in the lists of models for the same users.

        Args:
            predictions: one object per model and `exclude_seen` setting.
            n_items: the size of the catalogue.

        Raises:
            ConfigError: if the models have different users or targets.
            DataError: if there are no predictions, or an item is outside the catalogue.
        """
        lists = check_argument("predictions", list(predictions), list[Predictions])
        if not lists:
            raise DataError(
                "no predictions to find targets in: expected those of at least one model, got none"
            )
        first = lists[0]
        for other in lists[1:]:
            _check_same_examples(first.model, first, other.model, other)
        return cls(
            first.users,
            first.targets,
            {(made.model, made.exclude_seen): target_ranks(made, n_items) for made in lists},
            {(made.model, made.exclude_seen): made.k for made in lists},
        )

    def under(self, exclude_seen: bool) -> TargetRanks:
        """Return the ranks of one `exclude_seen` setting."""
        kept = {key: column for key, column in self.ranks.items() if key[1] == exclude_seen}
        return TargetRanks(self.users, self.targets, kept, {key: self.lengths[key] for key in kept})

    def metric(self, model: str, metric: str, *, exclude_seen: bool | None = None) -> npt.NDArray[np.float64]:
        """Compute a metric of each user, float64 (m,).

        Args:
            model: one of `models`.
            metric: `recall@K`, `ndcg@K` or `mrr@K`.
            exclude_seen: the setting; by default the lists without seen items, if there are any.

        Raises:
            ConfigError: if there are no ranks of the model, the metric is unknown, or K is beyond the lists.
        """
        settings = self.exclude_seen if exclude_seen is None else (exclude_seen,)
        key = next(((model, setting) for setting in settings if (model, setting) in self.ranks), None)
        if key is None:
            raise ConfigError(f"no ranks of `{model}`: expected one of {', '.join(self.models)}")
        kind, _, cutoff = metric.partition("@")
        if not cutoff.isdecimal() or not 1 <= int(cutoff) <= self.lengths[key]:
            raise ConfigError(
                f"cut-off beyond the lists of `{model}`: expected 1..{self.lengths[key]}, got `{metric}`"
            )
        return metric_of_ranks(self.ranks[key], kind, int(cutoff))

    def check_same_examples(self, other: TargetRanks) -> None:
        """Check that both have the same users and targets, row by row.

        Raises:
            ConfigError: if they do not.
        """
        _check_same_examples(", ".join(self.models), self, ", ".join(other.models), other)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file atomically.

        The columns are `user`, `target`, and `rank <model>@<length>` for each model, with the suffix
        ` seen_included` for lists with seen items.
        """
        ranks = {
            _column(model, self.lengths[model, setting], setting): column.astype(np.uint32)
            for (model, setting), column in self.ranks.items()
        }
        table = pyarrow.table({"user": self.users, "target": self.targets, **ranks})
        table = table.replace_schema_metadata(UNSEALED)
        with atomic_path(path) as temporary:
            # Users increase and targets hardly repeat: dictionaries would double the size of the file.
            parquet.write_table(
                table,
                temporary,
                compression="zstd",
                compression_level=19,
                use_dictionary=list(ranks),
                column_encoding={"user": "DELTA_BINARY_PACKED", "target": "DELTA_BINARY_PACKED"},
            )
            seal(temporary)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TargetRanks:
        """Read a file that `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            FormatError: if it is not a complete file of ranks.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"no ranks at {path}")
        try:
            frame = read_parquet(path)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise FormatError(f"{path}: not a Parquet file of ranks, or a truncated one ({error})") from error
        ranks, lengths = {}, {}
        for name in frame.columns:
            setting = not name.endswith(_SEEN_INCLUDED)
            model, at, length = name.removeprefix(_PREFIX).removesuffix(_SEEN_INCLUDED).rpartition("@")
            if name.startswith(_PREFIX) and at and model and length.isdecimal():
                ranks[model, setting], lengths[model, setting] = frame[name], int(length)
        types = [pl.Int32, pl.Int32, *(pl.UInt32 for _ in ranks)]
        if not ranks or frame.columns[:2] != ["user", "target"] or frame.dtypes != types:
            raise FormatError(
                f"{path}: expected the columns user, target and `rank <model>@<length>` of a file of ranks, "
                f"got {', '.join(f'{name} {kind}' for name, kind in frame.schema.items())}"
            )
        if any(column.null_count() for column in frame.get_columns()):
            raise FormatError(f"{path}: expected no null values in a file of ranks")
        columns = {key: column.to_numpy() for key, column in ranks.items()}
        try:
            return cls(frame["user"].to_numpy(), frame["target"].to_numpy(), columns, lengths)
        except DataError as error:
            raise FormatError(f"{path}: {error}") from error


def _check_same_examples(
    our_name: str, ours: Predictions | TargetRanks, their_name: str, theirs: Predictions | TargetRanks
) -> None:
    if not (np.array_equal(ours.users, theirs.users) and np.array_equal(ours.targets, theirs.targets)):
        raise ConfigError(
            f"`{our_name}` and `{their_name}` have different users or targets: expected the same ones for a "
            "paired comparison. Use the same data, split and order of tied timestamps for both"
        )


def _column(model: str, length: int, exclude_seen: bool) -> str:
    return f"{_PREFIX}{model}@{length}" + _SEEN_INCLUDED * (not exclude_seen)
