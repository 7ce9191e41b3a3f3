"""A catalogue and its interaction log, checked once, so that every later stage can believe it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit.data.histories import Histories
from sidkit.data.id_columns import check_distinct, check_id_column, find_rows, rows_of, some, unknown_items
from sidkit.data.sequences import offsets_of
from sidkit.data.split import Split, SplitKind, Ties, split_histories
from sidkit.errors import ConfigError, DataError

__all__ = ["Dataset"]

TIME_COLUMNS = ("timestamp", "t_rel", "position")
NUMBER_COLUMNS = (*TIME_COLUMNS, "rating", "label")


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Items, and who met which of them in which order.

    Inside sidkit an item is its row in `items` and a user its row in `user_ids` (0-based, int32); the ids
    that you use, any integers or strings, are kept beside and come back unchanged.

    Attributes:
        name: how reports call it.
        items: one row per item: `item_id`, unique, and any other columns; items without events may be there.
        interactions: one row per event: `user_id`, `item_id`, and at least one of `timestamp` (Unix seconds),
            `t_rel` (seconds since the user's first event) and `position` (rank within the user), the first of
            them that is there giving the order; `rating`, `label` and other columns are kept.
        user_ids: the ids of the users, in the order of their first event in `interactions`.
        user_index: int32 (events,), the row in `user_ids` of each event.
        item_index: int32 (events,), the row in `items` of each event.

    Raises:
        DataError: if a column is missing or has the wrong type, an id is null or given twice, or an
            interaction's item is not in `items`.
    """

    name: str
    items: pl.DataFrame
    interactions: pl.DataFrame
    user_ids: pl.Series = field(init=False)
    user_index: npt.NDArray[np.int32] = field(init=False)
    item_index: npt.NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        _check_column(self.items, "item_id", "items")
        _check_column(self.interactions, "user_id", "interactions")
        _check_column(self.interactions, "item_id", "interactions")
        _check_times(self.interactions)
        check_distinct(self.items["item_id"])
        user_ids = self.interactions["user_id"].unique(maintain_order=True)
        object.__setattr__(self, "user_ids", user_ids)
        object.__setattr__(self, "user_index", rows_of(self.interactions["user_id"], user_ids, "user"))
        _check_known(self.interactions, self.items)
        object.__setattr__(
            self, "item_index", rows_of(self.interactions["item_id"], self.items["item_id"], "item")
        )

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name!r}: {len(self.user_ids)} users, {len(self.items)} items, "
            f"{len(self.interactions)} interactions)"
        )

    @property
    def item_ids(self) -> pl.Series:
        """The ids of the items, in the order of their rows."""
        return self.items["item_id"]

    @property
    def order_column(self) -> str:
        """The column that orders a user's events."""
        return next(column for column in TIME_COLUMNS if column in self.interactions.columns)

    def find_items(self, ids: Iterable[int | str]) -> npt.NDArray[np.int32]:
        """Rows of the items with these ids, int32 (n,); text such as "12" finds the integer id 12.

        Raises:
            DataError: if an id is not in the catalogue; the message names it.
        """
        return find_rows(ids, self.item_ids, self._rows_of_items, "item")

    def find_users(self, ids: Iterable[int | str]) -> npt.NDArray[np.int32]:
        """Rows of the users with these ids, int32 (n,); text such as "12" finds the integer id 12.

        Raises:
            DataError: if there is no event of that user; the message names it.
        """
        return find_rows(ids, self.user_ids, self._rows_of_users, "user")

    # Made when an id is looked up for the first time, since most stages never do.
    @cached_property
    def _rows_of_items(self) -> dict[int | str, int]:
        return {each: row for row, each in enumerate(self.item_ids.to_list())}

    @cached_property
    def _rows_of_users(self) -> dict[int | str, int]:
        return {each: row for row, each in enumerate(self.user_ids.to_list())}

    @cached_property
    def tied_share(self) -> float:
        """Share of the events at the same moment as the user's event before, whose order says nothing."""
        events = self._ordered_events()
        users, times = self.user_index[events], self.interactions[self.order_column].to_numpy()[events]
        tied = (users[1:] == users[:-1]) & (times[1:] == times[:-1])
        return float(tied.sum() / len(users))

    def histories(self, ties: Ties = "source", seed: int = 0) -> Histories:
        """Return the history of every user: all events, oldest first, one row per user.

        Args:
            ties: order of a user's events with tied timestamps: `source` keeps the order of `position`, or of
                the rows if there is no such column; `shuffle` draws a random order.
            seed: seed of the random order; not used with `source`.
        """
        return self._histories_of(self._ordered_events(ties, seed))

    def split(
        self,
        kind: SplitKind = "leave_last_out",
        *,
        ties: Ties = "source",
        seed: int = 0,
        validation_share: float = 0.1,
        test_share: float = 0.1,
    ) -> Split:
        """Split the events into training, validation and test.

        `leave_last_out`, the protocol of SASRec (arXiv 1808.09781) and TIGER (arXiv 2305.05065): the last
        item of a user is the test target, the one before it the validation target, the rest is for training.
        A user with fewer than three events is for training only.

        `global_time`: two moments split the events of all users, so that nothing is learned from the future.
        The latest `test_share` of all events are after the second moment, the `validation_share` before them
        between the two. A target is the first item of a user in such a period; its history is everything the
        user did before. A user without an event before the period is not evaluated.

        Args:
            kind: `leave_last_out` or `global_time`.
            ties: order of events with tied timestamps, `source` or `shuffle`, see `histories`.
            seed: seed of the shuffle.
            validation_share: share of the events, between 0 and 1; only for `global_time`.
            test_share: share of the events, between 0 and 1; only for `global_time`.

        Raises:
            ConfigError: if an argument has an invalid value.
            DataError: if no evaluation example is left, or `global_time` finds no column `timestamp`.
        """
        if kind == "global_time" and self.order_column != "timestamp":
            raise DataError(
                f"the global_time split cannot compare the users of `{self.name}`: "
                f"expected a column `timestamp`, got only `{self.order_column}`. "
                "Add timestamps or use leave_last_out."
            )
        events = self._ordered_events(ties, seed)
        shares = validation_share, test_share
        return split_histories(
            self._histories_of(events), kind, ties=ties, seed=seed, shares=shares, name=self.name
        )

    def _ordered_events(self, ties: Ties = "source", seed: int = 0) -> npt.NDArray[np.int64]:
        """Rows of `interactions`, user by user, oldest first, int64 (events,)."""
        if ties not in ("source", "shuffle"):
            raise ConfigError(f"ties must be `source` or `shuffle`; got {ties!r}")
        times = self.interactions[self.order_column].to_numpy()
        if ties == "shuffle":
            among_equals = np.random.default_rng(seed).permutation(len(times))
        elif "position" in self.interactions.columns:
            among_equals = self.interactions["position"].to_numpy()
        else:
            among_equals = np.arange(len(times))
        return np.lexsort((among_equals, times, self.user_index)).astype(np.int64)

    def _histories_of(self, events: npt.NDArray[np.int64]) -> Histories:
        lengths = np.bincount(self.user_index, minlength=len(self.user_ids))
        times = self.interactions[self.order_column].to_numpy()[events]
        return Histories(self.item_index[events], offsets_of(lengths), self.item_ids, self.user_ids, times)

    def filtered(self, *, min_user_events: int = 0, min_item_events: int = 0) -> Dataset:
        """Drop users and items with fewer events than that, again and again until none is left (k-core).

        With `min_item_events` above 0, items go from the catalogue too.

        Raises:
            DataError: if nothing would remain.
            ConfigError: if a number is no integer of at least 0.
        """
        check_least_events(min_user_events=min_user_events, min_item_events=min_item_events)
        users, items = self.user_index, self.item_index
        kept = np.ones(len(users), dtype=bool)
        while True:
            user_events = np.bincount(users[kept], minlength=len(self.user_ids))
            item_events = np.bincount(items[kept], minlength=len(self.items))
            weak = (user_events[users] < min_user_events) | (item_events[items] < min_item_events)
            if not np.any(weak & kept):
                break
            kept &= ~weak
        if not kept.any():
            raise DataError(
                f"no interaction of `{self.name}` is left when every user must have {min_user_events} events "
                f"and every item {min_item_events}; ask for fewer"
            )
        catalogue = self.items.filter(item_events >= min_item_events)
        return Dataset(self.name, catalogue, self.interactions.filter(kept))


def check_least_events(**numbers: Any) -> None:
    """Raise ConfigError if one of these settings is no integer of at least 0."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, Integral) or number < 0:
            raise ConfigError(f"{name} must be an integer of at least 0, not {number!r}")


def _check_column(frame: pl.DataFrame, column: str, table: str) -> None:
    if column not in frame.columns:
        raise DataError(
            f"`{table}` has no column `{column}`; it has {', '.join(frame.columns) or 'no columns'}"
        )
    check_id_column(frame[column], column, table)


def _check_times(interactions: pl.DataFrame) -> None:
    present = [column for column in NUMBER_COLUMNS if column in interactions.columns]
    if not set(present) & set(TIME_COLUMNS):
        raise DataError(
            "`interactions` must have `timestamp`, `t_rel` or `position` to order a user's events; "
            f"it has {', '.join(interactions.columns)}"
        )
    for column in present:
        values = interactions[column]
        if not (values.dtype.is_integer() or values.dtype.is_float()):
            raise DataError(f"column `{column}` of `interactions` must hold numbers; got {values.dtype}")
        if column in TIME_COLUMNS:
            bad = (values.is_null() | ~values.cast(pl.Float64).is_finite().fill_null(False)).arg_true()
            if len(bad):
                raise DataError(
                    f"column `{column}` of `interactions` must be a number in every row; "
                    f"row {bad[0]} is {values[int(bad[0])]}, and {len(bad) - 1} more are not"
                )


def _check_known(interactions: pl.DataFrame, items: pl.DataFrame) -> None:
    given, known = interactions["item_id"], items["item_id"]
    if given.dtype.is_integer() != known.dtype.is_integer():
        raise DataError(
            f"`item_id` must have one type; it is {given.dtype} in `interactions` "
            f"and {known.dtype} in `items`"
        )
    unknown = unknown_items(interactions, items)
    if len(unknown):
        raise DataError(
            f"{len(unknown)} items of `interactions` are not in `items`, such as {some(unknown)}; "
            "add them, or leave such events out: --set data.unknown_items=drop "
            "(in Python: load_dataset(..., unknown_items='drop'))"
        )
