"""Labelled events in time order, with the history and context of each user."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import FINITE, Bounds, Count, Shape, checked
from sidkit.data import Dataset
from sidkit.data.sequences import checked_rows
from sidkit.errors import ConfigError, DataError

__all__ = ["Impressions", "TimeSplit", "impressions", "split_by_time"]

Int = npt.NDArray[np.int64]


@checked
@dataclass(frozen=True, eq=False)
class Impressions:
    """Events, oldest first. Features of a user come from strictly earlier events.

    Attributes:
        users: int64 (n,), user index.
        items: int64 (n,), item index.
        times: float64 (n,).
        labels: float32 (n,), 1 if the user liked the item.
        histories: int64 (n, length), the items that the user liked last, newest first, padded with -1.
        context: float32 (n, 2): log(1 + number of earlier events), and the share of them that were liked,
            with add-one smoothing.
    """

    users: Annotated[Int, Shape("events"), Bounds(ge=0)]
    items: Annotated[Int, Shape("events"), Bounds(ge=0)]
    times: Annotated[npt.NDArray[np.float64], Shape("events"), FINITE]
    labels: Annotated[npt.NDArray[np.float32], Shape("events"), Bounds(ge=0, le=1)]
    histories: Annotated[Int, Shape("events", "length"), Bounds(ge=-1)]
    context: Annotated[npt.NDArray[np.float32], Shape("events", 2), FINITE]

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: npt.ArrayLike | slice) -> Impressions:
        """Return the events in these rows: integers (m,), a boolean mask (n,) or a slice.

        Raises:
            DataError: if there is no such row.
        """
        if not isinstance(rows, slice):
            rows = checked_rows(rows, len(self))
        return Impressions(
            self.users[rows],
            self.items[rows],
            self.times[rows],
            self.labels[rows],
            self.histories[rows],
            self.context[rows],
        )


@checked
@dataclass(frozen=True, eq=False)
class TimeSplit:
    """Train, validation and test period of labelled events.

    Attributes:
        train: training events.
        validation: validation events, for early stopping.
        test: test events.
        test_begins: time of the first test event.
        train_counts: int64 (items,), training events of each item.
        new_items: bool (items,), whether the first event of an item is in the test period.
    """

    train: Impressions
    validation: Impressions
    test: Impressions
    test_begins: float
    train_counts: Int
    new_items: npt.NDArray[np.bool_]

    @property
    def users(self) -> int:
        """Number of users."""
        return 1 + max(int(part.users.max()) for part in (self.train, self.validation, self.test))


@checked
def impressions(dataset: Dataset, *, liked: float = 4.0, history: int = 20) -> Impressions:
    """Convert a log of ratings to labelled events.

    Args:
        dataset: interactions with `timestamp` and `rating`, or with `label`, which takes precedence.
        liked: smallest rating with a positive label.
        history: maximum number of liked items in a history.

    Raises:
        DataError: if a column or a value is missing, or a label is neither 0 nor 1.
        ConfigError: if `history` is less than 1.
    """
    if history < 1:
        raise ConfigError(f"`history` must be at least 1, got {history}")
    log = dataset.interactions
    if "timestamp" not in log.columns or not {"label", "rating"} & set(log.columns):
        raise DataError(
            "columns missing from the interactions: expected `timestamp` and `rating` or `label`, "
            f"got {', '.join(log.columns)}"
        )
    times = log["timestamp"].to_numpy().astype(np.float64)
    column = "label" if "label" in log.columns else "rating"
    given = log[column]
    if missing := given.cast(pl.Float64).fill_nan(None).null_count():
        raise DataError(
            f"`{column}` is missing in {missing} of {len(log)} interactions: expected a value in every one. "
            "Drop these interactions"
        )
    labels = given.to_numpy() if column == "label" else given.to_numpy() >= liked
    if not np.isin(labels, (0, 1)).all():
        raise DataError("`label` must be 0 or 1 in every interaction")
    users, items = dataset.user_index.astype(np.int64), dataset.item_index.astype(np.int64)
    histories, context = _before(users, items, times, labels.astype(bool), history)
    order = np.argsort(times, kind="stable")
    events = Impressions(users, items, times, labels.astype(np.float32), histories, context)
    return events.take(order)


def _before(
    users: Int, items: Int, times: npt.NDArray[np.float64], liked: npt.NDArray[np.bool_], length: int
) -> tuple[Int, npt.NDArray[np.float32]]:
    """Compute the history and the context of each event."""
    histories = np.full((len(users), length), -1, dtype=np.int64)
    context = np.zeros((len(users), 2), dtype=np.float32)
    order = np.lexsort((times, users))
    bounds = np.flatnonzero(np.diff(users[order], prepend=-1, append=-1))
    for begin, end in pairwise(bounds):
        rows = order[begin:end]
        # Events with tied timestamps are not part of each other's history.
        earlier = np.searchsorted(times[rows], times[rows], side="left")
        liked_before = np.concatenate([[0], np.cumsum(liked[rows])])[earlier]
        favourites = items[rows][liked[rows]]
        places = liked_before[:, None] - 1 - np.arange(length)
        if len(favourites):
            histories[rows] = np.where(places >= 0, favourites[np.maximum(places, 0)], -1)
        context[rows, 0] = np.log1p(earlier)
        context[rows, 1] = (liked_before + 1) / (earlier + 2)
    return histories, context


@checked
def split_by_time(
    events: Impressions, items: Count, *, validation: float = 0.1, test: float = 0.1
) -> TimeSplit:
    """Split events at two points in time; events with tied timestamps stay together.

    Args:
        events: oldest first, as returned by `impressions`.
        items: number of items of the catalogue.
        validation: share of the events in the validation period, which precedes the test period.
        test: share of the events in the test period.

    Raises:
        ConfigError: if a share is not positive, or no training events remain.
        DataError: if a period is empty.
    """
    if validation <= 0 or test <= 0 or validation + test >= 1:
        raise ConfigError(
            f"`validation` and `test` must be positive with a sum below 1, got {validation=}, {test=}"
        )
    cuts = [int(len(events) * (1 - validation - test)), int(len(events) * (1 - test))]
    first, second = (int(np.searchsorted(events.times, events.times[cut], side="left")) for cut in cuts)
    if not 0 < first < second < len(events):
        raise DataError(
            f"a period of the time split is empty: got {len(events)} events, cut at {first} and {second}. "
            "Use more events, or other shares"
        )
    counts = np.bincount(events.items[:first], minlength=items)
    before_test = np.bincount(events.items[:second], minlength=items)
    return TimeSplit(
        train=events.take(slice(0, first)),
        validation=events.take(slice(first, second)),
        test=events.take(slice(second, None)),
        test_begins=float(events.times[second]),
        train_counts=counts.astype(np.int64),
        new_items=before_test == 0,
    )
