"""Labelled events in time order, and what each user had liked before."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit.data import Dataset
from sidkit.errors import ConfigError, DataError

__all__ = ["Impressions", "TimeSplit", "impressions", "split_by_time"]

Int = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Impressions:
    """Events, oldest first; what is told of a user is from strictly earlier times.

    Attributes:
        users: int64 (n,), user index.
        items: int64 (n,), item index.
        times: float64 (n,).
        labels: float32 (n,), 1 where the user liked the item.
        histories: int64 (n, length), the items that the user liked last, newest first, padded with -1.
        context: float32 (n, 2): log(1 + number of earlier events), and the share of them that were liked,
            drawn to one half as if there had been two more, one of each.
    """

    users: Int
    items: Int
    times: npt.NDArray[np.float64]
    labels: npt.NDArray[np.float32]
    histories: Int
    context: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: npt.NDArray[np.integer] | slice) -> Impressions:
        """The events in these rows."""
        return Impressions(
            self.users[rows],
            self.items[rows],
            self.times[rows],
            self.labels[rows],
            self.histories[rows],
            self.context[rows],
        )


@dataclass(frozen=True, eq=False)
class TimeSplit:
    """Events before a first moment to train on, up to a second one to choose on, and after it to test on.

    Attributes:
        train: the events to train on.
        valid: the events to choose the number of epochs on.
        test: the events to test on.
        test_begins: the time of the first test event.
        train_counts: int64 (items,), how often each item was met in training.
        new_items: bool (items,), whether an item was met for the first time in the test period.
    """

    train: Impressions
    valid: Impressions
    test: Impressions
    test_begins: float
    train_counts: Int
    new_items: npt.NDArray[np.bool_]


def impressions(dataset: Dataset, *, liked: float = 4.0, history: int = 20) -> Impressions:
    """Turn a rated log into labelled events.

    Args:
        dataset: with `timestamp` and `rating` (or `label`, taken as it is) in its interactions.
        liked: ratings from here on are positive labels.
        history: how many liked items to remember of each user.

    Raises:
        DataError: if a column is missing, a rating or label is, or a label is neither 0 nor 1.
        ConfigError: if `history` is less than 1.
    """
    if history < 1:
        raise ConfigError(f"history must be at least 1; got {history}")
    log = dataset.interactions
    if "timestamp" not in log.columns or not {"label", "rating"} & set(log.columns):
        raise DataError(
            "ranking needs `timestamp` and `rating` or `label` in the interactions; "
            f"there are {', '.join(log.columns)}"
        )
    times = log["timestamp"].to_numpy().astype(np.float64)
    column = "label" if "label" in log.columns else "rating"
    given = log[column]
    if missing := given.cast(pl.Float64).fill_nan(None).null_count():
        raise DataError(
            f"`{column}` is missing in {missing} of {len(log)} interactions, and an event without one is "
            "neither liked nor disliked; drop them first"
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
    """For each event, its user's last liked items and the two numbers of the context."""
    histories = np.full((len(users), length), -1, dtype=np.int64)
    context = np.zeros((len(users), 2), dtype=np.float32)
    order = np.lexsort((times, users))
    bounds = np.flatnonzero(np.diff(users[order], prepend=-1, append=-1))
    for begin, end in pairwise(bounds):
        rows = order[begin:end]
        # Events of the same moment do not know of each other.
        earlier = np.searchsorted(times[rows], times[rows], side="left")
        liked_before = np.concatenate([[0], np.cumsum(liked[rows])])[earlier]
        favourites = items[rows][liked[rows]]
        places = liked_before[:, None] - 1 - np.arange(length)
        if len(favourites):
            histories[rows] = np.where(places >= 0, favourites[np.maximum(places, 0)], -1)
        context[rows, 0] = np.log1p(earlier)
        context[rows, 1] = (liked_before + 1) / (earlier + 2)
    return histories, context


def split_by_time(events: Impressions, items: int, *, valid: float = 0.1, test: float = 0.1) -> TimeSplit:
    """Cut events at two moments; events of one moment stay together.

    Args:
        events: oldest first, as `impressions` gives them.
        items: how many items the catalogue has.
        valid: the share of the events, before the test period, to choose on.
        test: the share of the latest events, which are the test period.

    Raises:
        ConfigError: if the shares leave nothing to train on.
        DataError: if a part would be empty.
    """
    if valid <= 0 or test <= 0 or valid + test >= 1:
        raise ConfigError(f"valid and test must be above 0 and together below 1; got {valid=}, {test=}")
    cuts = [int(len(events) * (1 - valid - test)), int(len(events) * (1 - test))]
    first, second = (int(np.searchsorted(events.times, events.times[cut], side="left")) for cut in cuts)
    if not 0 < first < second < len(events):
        raise DataError("the events are too few, or too many of one moment, to be split by time")
    counts = np.bincount(events.items[:first], minlength=items)
    before_test = np.bincount(events.items[:second], minlength=items)
    return TimeSplit(
        train=events.take(slice(0, first)),
        valid=events.take(slice(first, second)),
        test=events.take(slice(second, None)),
        test_begins=float(events.times[second]),
        train_counts=counts.astype(np.int64),
        new_items=before_test == 0,
    )
