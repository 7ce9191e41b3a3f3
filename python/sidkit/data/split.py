"""Training, validation and test parts of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit.data.histories import Histories
from sidkit.data.sequences import Sequences
from sidkit.errors import ConfigError, DataError

__all__ = ["EvaluationSet", "Split", "SplitKind", "Ties", "split_histories"]

Ties = Literal["source", "shuffle"]
SplitKind = Literal["leave_last_out", "global_time"]


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """Evaluation examples: a history, and the item that came next.

    Attributes:
        users: int32 (m,), row of the user of each example in `Dataset.user_ids`.
        histories: m rows of item rows, oldest first.
        targets: int32 (m,), row of the item that came next.
        item_ids: polars Series (items,), the id of every item row; taken from `histories` if these are
            `Histories`, otherwise None unless given.

    Raises:
        DataError: if there are not equally many users, histories and targets.
    """

    users: npt.NDArray[np.int32]
    histories: Sequences
    targets: npt.NDArray[np.int32]
    item_ids: pl.Series | None = None

    def __post_init__(self) -> None:
        shapes = np.shape(self.users), (len(self.histories),), np.shape(self.targets)
        if len(set(shapes)) > 1:
            raise DataError(
                "users, histories and targets must be equally many; "
                f"got {', '.join(str(shape) for shape in shapes)}"
            )
        object.__setattr__(self, "users", np.ascontiguousarray(self.users, dtype=np.int32))
        object.__setattr__(self, "targets", np.ascontiguousarray(self.targets, dtype=np.int32))
        if self.item_ids is None and isinstance(self.histories, Histories):
            object.__setattr__(self, "item_ids", self.histories.item_ids)

    def __len__(self) -> int:
        return len(self.targets)

    def __repr__(self) -> str:
        return f"EvaluationSet({len(self)} examples)"

    def take(self, rows: npt.ArrayLike) -> EvaluationSet:
        """Copy the given examples: integers (n,) or a boolean mask (m,)."""
        rows = np.asarray(rows)
        return EvaluationSet(self.users[rows], self.histories.take(rows), self.targets[rows], self.item_ids)


@dataclass(frozen=True, eq=False)
class Split:
    """Training histories, validation examples and test examples of a dataset.

    Attributes:
        kind: rule of the split.
        ties: order of events with tied timestamps.
        seed: seed of that order.
        train: one history per user of the dataset, oldest first; a history may be empty.
        validation: examples to choose settings on.
        test: examples to report; their histories include the validation items.
    """

    kind: SplitKind
    ties: Ties
    seed: int
    train: Histories
    validation: EvaluationSet
    test: EvaluationSet


def split_histories(
    histories: Histories,
    kind: SplitKind,
    *,
    ties: Ties,
    seed: int,
    shares: tuple[float, float],
    name: str,
) -> Split:
    """Split complete histories with times; see `Dataset.split`, which documents the kinds.

    Args:
        histories: all events of every user, oldest first, with `times`.
        kind: rule of the split.
        ties: order of events with tied timestamps, recorded in the split.
        seed: seed of that order, recorded in the split.
        shares: of the events in validation and in test; for `global_time`.
        name: name of the dataset, for messages.
    """
    if kind == "leave_last_out":
        train_end = np.where(histories.lengths >= 3, histories.lengths - 2, histories.lengths)
        valid_at = np.where(histories.lengths >= 3, train_end, -1)
        test_at = np.where(histories.lengths >= 3, train_end + 1, -1)
    elif kind == "global_time":
        train_end, valid_at, test_at = _cut_by_time(histories, *shares)
    else:
        raise ConfigError(f"kind must be `leave_last_out` or `global_time`; got {kind!r}")
    valid, test = _questions(histories, valid_at), _questions(histories, test_at)
    for part, questions in (("validation", valid), ("test", test)):
        if len(questions) == 0:
            raise DataError(
                f"the {kind} split of `{name}` has no user to ask about in {part}: "
                "users need three events (leave_last_out), or events before and in the period (global_time)"
            )
    return Split(kind, ties, seed, histories.head(train_end), valid, test)


def _questions(sequences: Histories, at: npt.NDArray[np.int64]) -> EvaluationSet:
    """Ask each user about the item at place `at` of the sequence; -1 leaves the user out."""
    users = np.flatnonzero(at > 0)
    rows = sequences.take(users)
    targets = rows.values[rows.offsets[:-1] + at[users]]
    return EvaluationSet(users.astype(np.int32), rows.head(at[users]), targets)


def _cut_by_time(
    histories: Histories, validation_share: float, test_share: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Per user the length of the training history, and the places of both targets or -1."""
    times = histories.times
    assert times is not None
    if not (0 < validation_share < 1 and 0 < test_share < 1 and validation_share + test_share < 1):
        raise ConfigError(
            "validation_share and test_share must be above 0 and together below 1; "
            f"got {validation_share} and {test_share}"
        )
    moments = np.quantile(times, [1 - validation_share - test_share, 1 - test_share], method="higher")
    before_valid = _count_per_row(times < moments[0], histories)
    before_test = _count_per_row(times < moments[1], histories)
    valid_at = np.where(before_test > before_valid, before_valid, -1)
    test_at = np.where(histories.lengths > before_test, before_test, -1)
    return before_valid, valid_at, test_at


def _count_per_row(flags: npt.NDArray[np.bool_], sequences: Sequences) -> npt.NDArray[np.int64]:
    before = np.concatenate(([0], np.cumsum(flags)))
    return np.asarray(before[sequences.offsets[1:]] - before[sequences.offsets[:-1]])
