"""Split of a dataset into training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import Seed, checked
from sidkit.data.histories import Histories
from sidkit.data.sequences import Sequences, checked_rows, offsets_of
from sidkit.errors import ConfigError, DataError

__all__ = ["EvaluationSet", "Split", "SplitKind", "Ties", "split_histories"]

Ties = Literal["source", "shuffle"]
TRAIN, VALIDATION, TEST = 0, 1, 2
NEEDS = {
    "leave_last_out": "users with three events or more",
    "global_time": "users with events both before and in the period",
    "given": "marked events of users with earlier events",
    "cold_items": "users with three events or more, one of them of a warm item before the target",
}
SplitKind = Literal["leave_last_out", "global_time", "given", "cold_items"]


@checked
@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """Evaluation examples: a history, and the item that came next.

    Attributes:
        users: int32 (m,), row of the user of each example in `Dataset.user_ids`.
        histories: m rows of item rows, oldest first.
        targets: int32 (m,), row of the item that came next.
        item_ids: polars Series (items,), the id of every item row; taken from `histories` if these are
            `Histories`, otherwise None unless given.
        dataset: name of the dataset, for the protocol of an evaluation.
        part: `validation` or `test`.
        split: rule of the split, see `Dataset.split`.
        ties: order of events with tied timestamps.
        tie_seed: seed of that order; 0 with `source`.
        cold_share: share of the items that were held out from training; only for `cold_items`.
        cold_seed: seed of their draw; only for `cold_items`.

    Raises:
        DataError: if there are not equally many users, histories and targets.
    """

    users: npt.NDArray[np.int32]
    histories: Sequences
    targets: npt.NDArray[np.int32]
    item_ids: pl.Series | None = None
    dataset: str = ""
    part: Literal["validation", "test"] = "test"
    split: SplitKind = "leave_last_out"
    ties: Ties = "source"
    tie_seed: Seed = 0
    cold_share: float | None = None
    cold_seed: Seed | None = None

    def __post_init__(self) -> None:
        shapes = np.shape(self.users), (len(self.histories),), np.shape(self.targets)
        if len(set(shapes)) > 1:
            raise DataError(
                "users, histories and targets differ in length: expected one of each per example, "
                f"got {', '.join(str(shape) for shape in shapes)}. Correct the arrays."
            )
        if (
            self.item_ids is not None
            and len(self)
            and not 0 <= self.targets.min() <= self.targets.max() < len(self.item_ids)
        ):
            raise DataError(
                f"a target is no item: expected rows in 0..{len(self.item_ids) - 1}, got "
                f"{self.targets.min()}..{self.targets.max()}. Pass rows of `item_ids`."
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
        """Copy the given examples: integers (n,) or a boolean mask (m,).

        Raises:
            DataError: if there is no such example, or the mask has another length.
        """
        rows = checked_rows(rows, len(self))
        return replace(
            self, users=self.users[rows], histories=self.histories.take(rows), targets=self.targets[rows]
        )


@checked
@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Training histories, validation examples and test examples of a dataset.

    An item without a training event is cold, every other item is warm. An example is cold if its target is.

    Attributes:
        kind: rule of the split, see `Dataset.split`.
        ties: order of events with tied timestamps.
        seed: seed of that order, and of the draw of the held-out items.
        train: one history per user of the dataset, oldest first; a history may be empty.
        validation: examples to choose settings on.
        test: examples to report; their histories include the validation items.
        skipped: targets without an earlier event of the user, which are not evaluated; only for `given` and
            `cold_items`.
    """

    kind: SplitKind
    ties: Ties
    seed: Seed
    train: Histories
    validation: EvaluationSet
    test: EvaluationSet
    skipped: int = 0

    def __repr__(self) -> str:
        text = (
            f"Split({self.kind!r}: {len(self.train.values)} training events, "
            f"{len(self.validation)} validation and {len(self.test)} test examples"
        )
        if self.unseen_test_targets:
            text += f", {self.unseen_test_targets} test targets never occur in training"
        if self.skipped:
            text += f", {self.skipped} marked events skipped"
        return text + ")"

    @cached_property
    def unseen_test_targets(self) -> int:
        """Number of test examples whose target never occurs in training; they count as any other."""
        return len(self.test_cold)

    @cached_property
    def cold_items(self) -> npt.NDArray[np.bool_]:
        """Mask of the items without a training event, bool (items,)."""
        counts = np.bincount(self.train.values, minlength=len(self.train.item_ids))
        return np.asarray(counts == 0)

    @cached_property
    def test_cold(self) -> EvaluationSet:
        """Test examples whose target is cold, in the order of `test`; there may be none."""
        return self.test.take(self.cold_items[self.test.targets])

    @cached_property
    def test_warm(self) -> EvaluationSet:
        """Test examples whose target is warm."""
        return self.test.take(~self.cold_items[self.test.targets])

    @cached_property
    def validation_cold(self) -> EvaluationSet:
        """Validation examples whose target is cold; there may be none."""
        return self.validation.take(self.cold_items[self.validation.targets])

    @cached_property
    def validation_warm(self) -> EvaluationSet:
        """Validation examples whose target is warm."""
        return self.validation.take(~self.cold_items[self.validation.targets])


def split_histories(
    histories: Histories,
    kind: SplitKind,
    *,
    name: str,
    order: tuple[Ties, int],
    shares: tuple[float, float],
    marks: npt.NDArray[np.int8] | None = None,
    cold_share: float | None = None,
) -> Split:
    """Split complete histories; see `Dataset.split`, which documents the kinds.

    Args:
        histories: all events of every user, oldest first, with `times`.
        kind: rule of the split.
        name: name of the dataset, for messages.
        order: order of tied timestamps and its seed, recorded in the split.
        shares: shares of the events in validation and test, for `global_time`.
        marks: int8 (events,), 0 training, 1 validation, 2 test, for `given`.
        cold_share: share of the items to hold out, for `cold_items`.
    """
    skipped = 0
    ties, seed = order
    if kind == "given" and marks is not None:
        if not np.any(marks == VALIDATION):
            marks = _with_last_for_validation(_rows_of(histories), marks)
        train, validation, test, skipped = _split_by_marks(histories, marks)
    elif kind == "cold_items":
        warm = ~np.isin(histories.values, _draw_items(histories, cold_share, seed, name))
        marks = _marks_of_last(histories)
        train, validation, test, skipped = _split_by_marks(histories, marks, known=warm)
    elif kind == "leave_last_out":
        train_end = np.where(histories.lengths >= 3, histories.lengths - 2, histories.lengths)
        validation = _examples(histories, np.where(histories.lengths >= 3, train_end, -1))
        test = _examples(histories, np.where(histories.lengths >= 3, train_end + 1, -1))
        train = histories.head(train_end)
    elif kind == "global_time":
        train_end, validation_at, test_at = _cut_by_time(histories, *shares)
        validation, test = _examples(histories, validation_at), _examples(histories, test_at)
        train = histories.head(train_end)
    else:
        raise ConfigError(
            f"unknown split: expected one of {', '.join(get_args(SplitKind))}, got {kind!r}. Correct `kind`."
        )
    for part, examples in (("validation", validation), ("test", test)):
        if len(examples) == 0:
            raise DataError(
                f"the {kind} split of `{name}` has no {part} examples: expected {NEEDS[kind]}, got none. "
                "Add events or choose another split."
            )
    facts: dict[str, Any] = {
        "dataset": name,
        "split": kind,
        "ties": ties,
        "tie_seed": seed if ties == "shuffle" else 0,
    }
    if kind == "cold_items":
        facts |= {"cold_share": cold_share, "cold_seed": seed}
    test = replace(test, part="test", **facts)
    validation = replace(validation, part="validation", **facts)
    return Split(kind, ties, seed, train, validation, test, skipped)


def _draw_items(histories: Histories, share: Any, seed: Seed, name: str) -> npt.NDArray[np.int32]:
    """Draw a share of the items that have events; at least one item is drawn, and one is left."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
        raise ConfigError(
            f"share of cold items is invalid: expected a number between 0 and 1, got {share!r}. "
            "Correct `share`."
        )
    items = np.unique(histories.values)
    if len(items) < 2:
        raise DataError(
            f"the cold_items split of `{name}` cannot hold out items: expected at least 2 items with events, "
            f"got {len(items)}. Add events or choose another split."
        )
    count = min(max(round(share * len(items)), 1), len(items) - 1)
    return np.random.default_rng(seed).permutation(items)[:count]


def _marks_of_last(histories: Histories) -> npt.NDArray[np.int8]:
    """Mark the last two events of every user with three or more as validation and test, int8 (events,)."""
    marks = np.full(len(histories.values), TRAIN, np.int8)
    ends = histories.offsets[1:][histories.lengths >= 3]
    marks[ends - 2], marks[ends - 1] = VALIDATION, TEST
    return marks


def _examples(histories: Histories, at: npt.NDArray[np.int64]) -> EvaluationSet:
    """Make the event at place `at` of each history its target; -1 leaves the user out."""
    users = np.flatnonzero(at > 0)
    targets = histories.values[histories.offsets[users] + at[users]]
    return EvaluationSet(users.astype(np.int32), histories.take_heads(users, at[users]), targets)


def _split_by_marks(
    histories: Histories, marks: npt.NDArray[np.int8], *, known: npt.NDArray[np.bool_] | None = None
) -> tuple[Histories, EvaluationSet, EvaluationSet, int]:
    """Split by marks; only `known` events, bool (events,), are in training and in histories."""
    events = np.ones(len(marks), bool) if known is None else known
    train = _events(histories, _rows_of(histories), (marks == TRAIN) & events)
    validation, skipped = _marked_examples(histories, marks, VALIDATION, events)
    test, more = _marked_examples(histories, marks, TEST, events)
    return train, validation, test, skipped + more


def _rows_of(histories: Histories) -> npt.NDArray[np.int64]:
    """Return the history of every event, int64 (events,)."""
    return np.repeat(np.arange(len(histories)), histories.lengths)


def _with_last_for_validation(
    rows: npt.NDArray[np.int64], marks: npt.NDArray[np.int8]
) -> npt.NDArray[np.int8]:
    """Mark the last training event of every user with two or more as validation."""
    training = np.flatnonzero(marks == TRAIN)
    users = rows[training]
    last = np.append(users[1:] != users[:-1], True)
    several = np.bincount(users, minlength=1)[users] >= 2
    marks = marks.copy()
    marks[training[last & several]] = VALIDATION
    return marks


def _marked_examples(
    histories: Histories, marks: npt.NDArray[np.int8], mark: int, events: npt.NDArray[np.bool_]
) -> tuple[EvaluationSet, int]:
    """Make every event with this mark a target, after the user's earlier `events` with lower marks."""
    earlier = (marks < mark) & events
    rows = _rows_of(histories)
    known = _events(histories, rows, earlier)
    counts = np.cumsum(earlier) - known.offsets[:-1][rows]
    at = np.flatnonzero(marks == mark)
    skipped = int((counts[at] == 0).sum())
    at = at[counts[at] > 0]
    users = rows[at]
    examples = EvaluationSet(users.astype(np.int32), known.take(users).head(counts[at]), histories.values[at])
    return examples, skipped


def _events(histories: Histories, rows: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_]) -> Histories:
    """Keep these events, bool (events,), of histories with these rows, int64 (events,)."""
    return replace(
        histories,
        values=histories.values[kept],
        offsets=offsets_of(np.bincount(rows[kept], minlength=len(histories))),
        times=None if histories.times is None else histories.times[kept],
    )


def _cut_by_time(
    histories: Histories, validation_share: float, test_share: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Per user the length of the training history, and the places of both targets or -1."""
    times = histories.times
    assert times is not None
    if not (0 < validation_share < 1 and 0 < test_share < 1 and validation_share + test_share < 1):
        raise ConfigError(
            "validation_share and test_share are invalid: expected numbers above 0 whose sum is below 1, "
            f"got {validation_share} and {test_share}. Correct them."
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
