"""What is learned from, what settings are chosen on, and what is read once at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sidkit.data.dataset import Dataset, Ties
from sidkit.data.sequences import Sequences
from sidkit.errors import ConfigError, DataError

__all__ = ["EvaluationSet", "Split", "SplitKind", "split_dataset"]

SplitKind = Literal["leave_last_out", "global_time"]


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """Questions with known answers: after this history, which item came next?

    Attributes:
        users: int32 (m,), the user index of each question, each user at most once.
        histories: m rows of item indices, oldest first.
        targets: int32 (m,), the item index that came next.
    """

    users: npt.NDArray[np.int32]
    histories: Sequences
    targets: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        shapes = np.shape(self.users), (len(self.histories),), np.shape(self.targets)
        if len(set(shapes)) > 1:
            raise DataError(
                "users, histories and targets must be equally many; "
                f"got {', '.join(str(shape) for shape in shapes)}"
            )
        object.__setattr__(self, "users", np.ascontiguousarray(self.users, dtype=np.int32))
        object.__setattr__(self, "targets", np.ascontiguousarray(self.targets, dtype=np.int32))

    def __len__(self) -> int:
        return len(self.targets)

    def __repr__(self) -> str:
        return f"EvaluationSet({len(self)} questions)"

    def take(self, rows: npt.ArrayLike) -> EvaluationSet:
        """Copy the given questions: integers (n,) or a boolean mask (m,)."""
        rows = np.asarray(rows)
        return EvaluationSet(self.users[rows], self.histories.take(rows), self.targets[rows])


@dataclass(frozen=True, eq=False)
class Split:
    """A dataset's events, parted.

    Attributes:
        kind: the rule that parted them.
        ties: how events with equal times were ordered.
        seed: of that order.
        train: one row per user of the dataset, oldest first; a row may be empty.
        validation: the questions to choose settings on.
        test: the questions to report; their histories hold the validation items.
        train_times: of the values of `train`, in the unit of the dataset's `order_column`, numbers (nnz,);
            None if they are not known.

    Raises:
        DataError: if there is not one time for each training event.
    """

    kind: SplitKind
    ties: Ties
    seed: int
    train: Sequences
    validation: EvaluationSet
    test: EvaluationSet
    train_times: npt.NDArray[Any] | None = None

    def __post_init__(self) -> None:
        if self.train_times is not None and np.shape(self.train_times) != self.train.values.shape:
            raise DataError(
                f"there must be one time for each of the {len(self.train.values)} training events; "
                f"got an array of shape {np.shape(self.train_times)}"
            )


def split_dataset(
    dataset: Dataset,
    *,
    kind: SplitKind = "leave_last_out",
    ties: Ties = "source",
    seed: int = 0,
    validation_share: float = 0.1,
    test_share: float = 0.1,
) -> Split:
    """Part a dataset's events into training, validation and test.

    `leave_last_out`, the protocol of SASRec (arXiv 1808.09781) and TIGER (arXiv 2305.05065): a user's last
    item is the test target, the one before it the validation target, the rest is for training. A user with
    fewer than three events is for training only.

    `global_time`: two moments part the events of all users, so that nothing is learned from the future. The
    latest `test_share` of all events lie after the second moment, the `validation_share` before them between the
    two. A target is a user's first item in such a period; its history is all that the user did before. A
    user without an event before the period is not asked about.

    Args:
        dataset: the events.
        kind: `leave_last_out` or `global_time`.
        ties: `source` or `shuffle`, see `Dataset.sequences`.
        seed: of the shuffle.
        validation_share: of the events, between 0 and 1; only for `global_time`.
        test_share: of the events, between 0 and 1; only for `global_time`.

    Raises:
        ConfigError: if a setting makes no sense.
        DataError: if there is no question left to ask, or no absolute time for `global_time`.
    """
    sequences, events = dataset.event_sequences(ties, seed)
    times = dataset.interactions[dataset.order_column].to_numpy()[events]
    if kind == "leave_last_out":
        train_end = np.where(sequences.lengths >= 3, sequences.lengths - 2, sequences.lengths)
        valid_at = np.where(sequences.lengths >= 3, train_end, -1)
        test_at = np.where(sequences.lengths >= 3, train_end + 1, -1)
    elif kind == "global_time":
        train_end, valid_at, test_at = _cut_by_time(dataset, sequences, times, validation_share, test_share)
    else:
        raise ConfigError(f"kind must be `leave_last_out` or `global_time`; got {kind!r}")
    valid, test = _questions(sequences, valid_at), _questions(sequences, test_at)
    for part, questions in (("validation", valid), ("test", test)):
        if len(questions) == 0:
            raise DataError(
                f"the {kind} split of `{dataset.name}` has no user to ask about in {part}: "
                "users need three events (leave_last_out), or events before and in the period (global_time)"
            )
    train = sequences.head(train_end)
    return Split(kind, ties, seed, train, valid, test, times[_first(sequences, train.lengths)])


def _first(sequences: Sequences, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which values are among the first of their row, as many as `lengths` tells of it."""
    row = np.repeat(np.arange(len(sequences)), sequences.lengths)
    place = np.arange(len(row)) - sequences.offsets[:-1][row]
    return np.asarray(place < lengths[row])


def _questions(sequences: Sequences, at: npt.NDArray[np.int64]) -> EvaluationSet:
    """Ask each user about the item at place `at` of the sequence; -1 leaves the user out."""
    users = np.flatnonzero(at > 0)
    rows = sequences.take(users)
    targets = rows.values[rows.offsets[:-1] + at[users]]
    return EvaluationSet(users.astype(np.int32), rows.head(at[users]), targets)


def _cut_by_time(
    dataset: Dataset,
    sequences: Sequences,
    times: npt.NDArray[Any],
    validation_share: float,
    test_share: float,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Per user the length of the training part, and the places of both targets or -1."""
    if dataset.order_column != "timestamp":
        raise DataError(
            "the global_time split needs a column `timestamp` (Unix seconds), since times of different "
            f"users are compared; `{dataset.name}` has only `{dataset.order_column}`; use leave_last_out"
        )
    if not (0 < validation_share < 1 and 0 < test_share < 1 and validation_share + test_share < 1):
        raise ConfigError(
            "validation_share and test_share must be above 0 and together below 1; "
            f"got {validation_share} and {test_share}"
        )
    moments = np.quantile(times, [1 - validation_share - test_share, 1 - test_share], method="higher")
    before_valid = _count_per_row(times < moments[0], sequences)
    before_test = _count_per_row(times < moments[1], sequences)
    valid_at = np.where(before_test > before_valid, before_valid, -1)
    test_at = np.where(sequences.lengths > before_test, before_test, -1)
    return before_valid, valid_at, test_at


def _count_per_row(flags: npt.NDArray[np.bool_], sequences: Sequences) -> npt.NDArray[np.int64]:
    before = np.concatenate(([0], np.cumsum(flags)))
    return np.asarray(before[sequences.offsets[1:]] - before[sequences.offsets[:-1]])
