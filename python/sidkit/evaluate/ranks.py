"""The place of every user's target in the lists of some models: all that most metrics need of a run.

Recall, NDCG and MRR of a user at any cut-off follow from one number, the rank of the target. Kept for all
test users it is a file of some ten kilobytes, so that stored runs can be compared user by user, and averaged
over seeds user by user, long after the lists have gone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._files import atomic_path
from sidkit.errors import ConfigError, DataError, FormatError
from sidkit.evaluate.metrics import metric_of_ranks, target_ranks
from sidkit.evaluate.predictions import Predictions

__all__ = ["TargetRanks"]

Int32 = npt.NDArray[np.int32]
_PREFIX = "rank "  # of a column's name; the rest names the model and the length of its lists


@dataclass(frozen=True, eq=False)
class TargetRanks:
    """Where each user's target stood.

    Attributes:
        users: int32 (m,), the user of each row.
        targets: int32 (m,), the item each user took next.
        ranks: of each model int (m,), 1 for the top of the list, 0 where the target was not in it.
        lengths: of each model, the length of its lists; a cut-off beyond it cannot be measured.

    Raises:
        DataError: if shapes differ, or a rank is outside 0..length.
    """

    users: Int32
    targets: Int32
    ranks: Mapping[str, npt.NDArray[np.integer]]
    lengths: Mapping[str, int]

    def __post_init__(self) -> None:
        """Check every rule of the class."""
        rows = self.users.shape
        if len(rows) != 1 or self.targets.shape != rows or set(self.ranks) != set(self.lengths):
            raise DataError(
                f"`users` and `targets` must be (m,) and every model needs a length, got {rows}, "
                f"{self.targets.shape}, models {sorted(self.ranks)}, lengths of {sorted(self.lengths)}"
            )
        for model, column in self.ranks.items():
            most = self.lengths[model]
            if column.shape != rows or (column.size and not (0 <= column.min() <= column.max() <= most)):
                raise DataError(f"ranks of `{model}` must be {rows}, each in 0..{most}")

    @property
    def models(self) -> list[str]:
        """The models, in order."""
        return list(self.ranks)

    @classmethod
    def of(cls, predictions: Iterable[Predictions], n_items: int) -> TargetRanks:
        """Find the targets in the lists of models that were asked about the same users.

        Raises:
            ConfigError: if the models were asked about different users or targets.
            DataError: if there is no model, or an item is outside the catalogue of `n_items`.
        """
        lists = list(predictions)
        if not lists:
            raise DataError("ranks need the predictions of at least one model")
        first = lists[0]
        for other in lists[1:]:
            _same_questions(first.model, first, other.model, other)
        return cls(
            first.users,
            first.targets,
            {made.model: target_ranks(made, n_items) for made in lists},
            {made.model: made.k for made in lists},
        )

    def metric(self, model: str, metric: str) -> npt.NDArray[np.float64]:
        """Compute a metric of each user, float64 (m,).

        Args:
            model: one of `models`.
            metric: `recall@K`, `ndcg@K` or `mrr@K`.

        Raises:
            ConfigError: if the model is not there, the metric is another one, or K is beyond its lists.
        """
        if model not in self.ranks:
            raise ConfigError(f"there are no ranks of `{model}`, only of {', '.join(self.ranks)}")
        kind, _, cutoff = metric.partition("@")
        if not cutoff.isdecimal() or not 1 <= int(cutoff) <= self.lengths[model]:
            raise ConfigError(
                f"the ranks of `{model}` tell metrics at 1..{self.lengths[model]}, `{metric}` was asked for"
            )
        return metric_of_ranks(self.ranks[model], kind, int(cutoff))

    def check_same_questions(self, other: TargetRanks) -> None:
        """See to it that both hold the same users and targets, row by row.

        Raises:
            ConfigError: if they do not.
        """
        _same_questions(", ".join(self.models), self, ", ".join(other.models), other)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write Parquet, whole or not at all: `user`, `target`, and a `rank <model>@<length>` for each."""
        import pyarrow
        from pyarrow import parquet

        ranks = {
            f"{_PREFIX}{model}@{self.lengths[model]}": column.astype(np.uint32)
            for model, column in self.ranks.items()
        }
        table = pyarrow.table({"user": self.users, "target": self.targets, **ranks})
        with atomic_path(path) as temporary:
            # Users rise and targets hardly repeat: dictionaries of them would double the file.
            parquet.write_table(
                table,
                temporary,
                compression="zstd",
                compression_level=19,
                use_dictionary=list(ranks),
                column_encoding={"user": "DELTA_BINARY_PACKED", "target": "DELTA_BINARY_PACKED"},
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TargetRanks:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            FormatError: if it is not a whole file of ranks.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"no ranks at {path}")
        try:
            frame = pl.read_parquet(Path(path))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise FormatError(f"{path}: not a Parquet file of ranks, or a truncated one ({error})") from error
        ranks, lengths = {}, {}
        for name in frame.columns:
            model, at, length = name.removeprefix(_PREFIX).rpartition("@")
            if name.startswith(_PREFIX) and at and model and length.isdecimal():
                ranks[model], lengths[model] = frame[name], int(length)
        wanted = [pl.Int32, pl.Int32, *(pl.UInt32 for _ in ranks)]
        if not ranks or frame.columns[:2] != ["user", "target"] or frame.dtypes != wanted:
            raise FormatError(
                f"{path}: expected the columns user, target and `rank <model>@<length>` of a file of ranks, "
                f"got {', '.join(f'{name} {kind}' for name, kind in frame.schema.items())}"
            )
        if any(column.null_count() for column in frame.get_columns()):
            raise FormatError(f"{path}: a file of ranks has no empty cells")
        columns = {model: column.to_numpy() for model, column in ranks.items()}
        try:
            return cls(frame["user"].to_numpy(), frame["target"].to_numpy(), columns, lengths)
        except DataError as error:
            raise FormatError(f"{path}: {error}") from error


def _same_questions(
    our_name: str, ours: Predictions | TargetRanks, their_name: str, theirs: Predictions | TargetRanks
) -> None:
    if not (np.array_equal(ours.users, theirs.users) and np.array_equal(ours.targets, theirs.targets)):
        raise ConfigError(
            f"`{our_name}` and `{their_name}` were measured on different users or targets; "
            "a paired comparison needs the same data, split and ties for both"
        )
