"""Dataset: a catalogue of items and the log of its interactions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import Bounds, Seed, checked
from sidkit._warnings import warn
from sidkit.data.catalogue import Catalogue
from sidkit.data.events import TIME_COLUMNS, normalize_events, split_marks
from sidkit.data.frames import rename_columns, to_polars
from sidkit.data.histories import Histories
from sidkit.data.id_columns import check_distinct, check_id_column, find_rows, rows_of, some
from sidkit.data.id_columns import unknown_items as items_not_in
from sidkit.data.sequences import offsets_of
from sidkit.data.split import Split, SplitKind, Ties, split_histories
from sidkit.errors import ConfigError, DataError

__all__ = ["Dataset"]

#: Least number of events.
Least: TypeAlias = Annotated[int, Bounds(ge=0)]
#: Events compared at once.
_BLOCK = 1 << 22


@checked
@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A catalogue of items and the log of its interactions.

    Build one with `from_frames` from tables of any library, or with `load_dataset` from files; the
    constructor takes polars DataFrames. Inside sidkit an item is its row in `items` and a user its row in
    `user_ids` (0-based, int32). Your own ids, integers or strings, come back unchanged.

    Attributes:
        name: name in reports.
        items: one row per item: `item_id`, unique, and any other columns. Items without events are allowed.
        interactions: one row per event: `user_id`, `item_id`, and at least one of `timestamp` (Unix seconds),
            `t_rel` (seconds since the first event of the user) and `position` (rank within the user). The
            first of them that is present orders the events. `rating`, `label`, `split` and other columns are
            kept. The constructor accepts timestamps in any form of `from_frames` and converts them.
        user_ids: ids of the users, ordered by their first event in `interactions`.
        user_index: int32 (events,), row in `user_ids` of each event.
        item_index: int32 (events,), row in `items` of each event.

    Raises:
        DataError: if a column is missing or has an unsupported type, an id is null or repeated, or the item
            of an interaction is not in `items`.
    """

    name: str
    items: pl.DataFrame
    interactions: pl.DataFrame
    user_ids: pl.Series = field(init=False)
    user_index: npt.NDArray[np.int32] = field(init=False)
    item_index: npt.NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        items = _with_ids(self.items, "items", "item_id")
        interactions = _with_ids(self.interactions, "interactions", "user_id", "item_id")
        interactions = normalize_events(interactions)
        check_distinct(items["item_id"])
        item_index = _item_rows(interactions, items)
        user_ids = interactions["user_id"].unique(maintain_order=True)
        object.__setattr__(self, "items", items)
        object.__setattr__(self, "interactions", interactions)
        object.__setattr__(self, "user_ids", user_ids)
        object.__setattr__(self, "user_index", rows_of(interactions["user_id"], user_ids, "user"))
        object.__setattr__(self, "item_index", item_index)

    @classmethod
    def from_frames(
        cls,
        interactions: Any,
        items: Any = None,
        *,
        name: str = "dataset",
        columns: Mapping[str, str] | None = None,
        unknown_items: Literal["error", "drop"] = "error",
    ) -> Dataset:
        """Build a dataset from tables in memory.

        Both tables may come from pandas, polars, pyarrow, DuckDB, or any other library with the Arrow C
        stream interface. The columns of a dataset are those of the class; `columns` maps other names to them:

            >>> days = ["2024-01-31", "2024-02-01"]
            >>> log = pl.DataFrame({"who": ["ann", "ann"], "item": ["B1", "B2"], "day": days})
            >>> Dataset.from_frames(log, columns={"user_id": "who", "item_id": "item", "timestamp": "day"})
            Dataset('dataset': 1 users, 2 items, 2 interactions)

        Args:
            interactions: one row per event. Ids are integers, strings or categoricals. `timestamp` holds
                integers (seconds, or milliseconds from 10**11 on), ISO 8601 strings, dates or datetimes;
                times without a time zone count as UTC.
            items: one row per item; without it, the catalogue is the distinct item ids of `interactions`.
            name: name in reports.
            columns: name in sidkit to name in the tables, such as `{"user_id": "reviewerID"}`.
            unknown_items: what happens to events whose item is not in `items`: `error`, or `drop` them.

        Raises:
            DataError: if a table, a column or a value is not as described; the message names it.
            ConfigError: if an argument has an invalid value.
        """
        if unknown_items not in ("error", "drop"):
            raise ConfigError(
                f"unknown_items is invalid: expected `error` or `drop`, got {unknown_items!r}. Correct it."
            )
        given = [to_polars(interactions, "interactions")]
        if items is not None:
            given.append(to_polars(items, "items"))
        events, *catalogues = rename_columns(given, columns)
        events = _with_ids(events, "interactions", "user_id", "item_id")
        if catalogues:
            catalogue = catalogues[0]
        else:
            catalogue = events.select(pl.col("item_id").unique(maintain_order=True))
        if catalogues and unknown_items == "drop":
            catalogue = _with_ids(catalogue, "items", "item_id")
            unknown = items_not_in(events, catalogue)
            events = events.filter(~pl.col("item_id").is_in(unknown.implode()))
        return cls(name, catalogue, events)

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name!r}: {len(self.user_ids)} users, {len(self.items)} items, "
            f"{len(self.interactions)} interactions)"
        )

    @property
    def item_ids(self) -> pl.Series:
        """Ids of the items, polars Series (items,), one per row of `items`."""
        return self.items["item_id"]

    @property
    def order_column(self) -> str:
        """Column that orders the events of a user: `timestamp`, `t_rel` or `position`."""
        return next(column for column in TIME_COLUMNS if column in self.interactions.columns)

    def catalogue(self) -> Catalogue:
        """Return the items as a catalogue, whose `where` selects sets of items; always the same object."""
        return self._catalogue

    @cached_property
    def _catalogue(self) -> Catalogue:
        return Catalogue(self.items)

    def find_items(self, ids: Iterable[int | str]) -> npt.NDArray[np.int32]:
        """Return the rows of the items with these ids, int32 (n,); "12" matches the integer id 12.

        Raises:
            DataError: if an id is not in the catalogue; the message names it.
        """
        return find_rows(ids, self.item_ids, self._rows_of_items, "item")

    def find_users(self, ids: Iterable[int | str]) -> npt.NDArray[np.int32]:
        """Return the rows of the users with these ids, int32 (n,); "12" matches the integer id 12.

        Raises:
            DataError: if a user has no event; the message names it.
        """
        return find_rows(ids, self.user_ids, self._rows_of_users, "user")

    @cached_property
    def _rows_of_items(self) -> dict[int | str, int]:
        return {each: row for row, each in enumerate(self.item_ids.to_list())}

    @cached_property
    def _rows_of_users(self) -> dict[int | str, int]:
        return {each: row for row, each in enumerate(self.user_ids.to_list())}

    @cached_property
    def tied_share(self) -> float:
        """Share of the events with the same time as the user's previous event."""
        events = self._ordered_events()
        users, times = self.user_index[events], self.interactions[self.order_column].to_numpy()[events]
        tied = (users[1:] == users[:-1]) & (times[1:] == times[:-1])
        return float(tied.sum() / len(users))

    def histories(self, ties: Ties = "source", seed: Seed = 0) -> Histories:
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
        seed: Seed = 0,
        validation_share: float = 0.1,
        test_share: float = 0.1,
        share: float = 0.1,
    ) -> Split:
        """Split the events into training, validation and test.

        `leave_last_out`, the protocol of SASRec (arXiv 1808.09781) and TIGER (arXiv 2305.05065): the last
        item of a user is the test target, the one before it the validation target, the rest is for training.
        A user with fewer than three events is for training only.

        `global_time`: two moments split the events of all users, so that nothing is learned from the future.
        The latest `test_share` of all events are after the second moment, the `validation_share` before them
        between the two. A target is the first item of a user in such a period; its history is everything the
        user did before. A user without an event before the period is not evaluated.

        `given`: the column `split` of `interactions` (`train`; `validation`, `valid`, `val` or `dev`;
        `test`) decides. Every event marked validation or test is one target, so that a user may have several.
        Its history is what the user did earlier in training, and for test also in validation. Among tied
        timestamps, training comes first and test last. Marked events without any earlier event are not
        evaluated; `Split.skipped` counts them. If no event is marked validation, the last training event of
        every user with two or more becomes the validation target.

        `cold_items`, for recommendations of items that are new: `leave_last_out`, but a random `share` of the
        items with events is held out. The events of these cold items are removed from training and from all
        histories, so that every model sees the same input. They remain targets: `Split.test_cold` and
        `Split.test_warm` are the test examples whose target is cold or warm, and likewise for validation. A
        target without an earlier event of a warm item is not evaluated; `Split.skipped` counts these.

        With every split, an item without a training event counts as cold. With `global_time`, these are the
        items that first occur after the first moment.

        Args:
            kind: `leave_last_out`, `global_time`, `given` or `cold_items`.
            ties: order of events with tied timestamps, `source` or `shuffle`, see `histories`.
            seed: seed of the shuffle, and of the draw of the cold items.
            validation_share: share of the events, between 0 and 1; only for `global_time`.
            test_share: share of the events, between 0 and 1; only for `global_time`.
            share: share of the items that are held out, between 0 and 1; only for `cold_items`.

        Returns:
            The split; `unseen_test_targets` counts the test targets that never occur in training.

        Raises:
            ConfigError: if an argument has an invalid value.
            DataError: if no evaluation example is left, `global_time` finds no column `timestamp`, or `given`
                no valid column `split`.
        """
        if kind == "global_time" and self.order_column != "timestamp":
            raise DataError(
                f"the global_time split cannot compare the users of `{self.name}`: "
                f"expected a column `timestamp`, got only `{self.order_column}`. "
                "Add timestamps or use leave_last_out."
            )
        marks = split_marks(self.interactions, self.name) if kind == "given" else None
        if marks is None and "split" in self.interactions.columns:
            warn(
                f"`{self.name}` has a column `split`, which the {kind} split ignores; "
                'use the split "given" to follow it, or drop the column',
            )
        events = self._ordered_events(ties, seed, marks)
        return split_histories(
            self._histories_of(events),
            kind,
            order=(ties, seed),
            shares=(validation_share, test_share),
            marks=None if marks is None else marks[events],
            cold_share=share if kind == "cold_items" else None,
            name=self.name,
        )

    def _ordered_events(
        self, ties: Ties = "source", seed: Seed = 0, marks: npt.NDArray[np.int8] | None = None
    ) -> npt.NDArray[np.int64] | slice:
        """Rows of `interactions`, user by user, oldest first; `marks` order tied times.

        Returns:
            int64 (events,), or a slice of all rows where they are in this order already.
        """
        if ties not in ("source", "shuffle"):
            raise ConfigError(f"ties is invalid: expected `source` or `shuffle`, got {ties!r}. Correct it.")
        times = self.interactions[self.order_column].to_numpy()
        keys = [times, self.user_index] if marks is None else [marks, times, self.user_index]
        if ties == "shuffle":
            keys.insert(0, np.random.default_rng(seed).permutation(len(times)))
        elif "position" in self.interactions.columns:
            keys.insert(0, self.interactions["position"].to_numpy())
        elif marks is None and _are_ordered(self.user_index, times):
            return slice(None)
        return np.lexsort(keys).astype(np.int64, copy=False)  # stable

    def _histories_of(self, events: npt.NDArray[np.int64] | slice) -> Histories:
        lengths = np.bincount(self.user_index, minlength=len(self.user_ids))
        times = self.interactions[self.order_column].to_numpy()[events]
        return Histories(self.item_index[events], offsets_of(lengths), self.item_ids, self.user_ids, times)

    def filtered(self, *, min_user_events: Least = 0, min_item_events: Least = 0) -> Dataset:
        """Drop users and items with fewer events, repeatedly until every remaining one has enough (k-core).

        With `min_item_events` above 0, items are dropped from the catalogue too.

        Args:
            min_user_events: least number of events of a user.
            min_item_events: least number of events of an item.

        Raises:
            DataError: if nothing would remain.
            ConfigError: if a number is not an integer >= 0.
        """
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
                f"no interaction of `{self.name}` is left: expected users with {min_user_events} events and "
                f"items with {min_item_events}, got none. Lower min_user_events or min_item_events."
            )
        catalogue = self.items.filter(item_events >= min_item_events)
        return Dataset(self.name, catalogue, self.interactions.filter(kept))


def _with_ids(frame: pl.DataFrame, table: str, *columns: str) -> pl.DataFrame:
    """Return the table with checked ids, categorical ones as strings."""
    for column in columns:
        if column not in frame.columns:
            raise DataError(
                f"`{table}` has no column `{column}`: expected it among its columns, "
                f"got {', '.join(frame.columns) or 'none'}. "
                f'Name the one that holds it, as in columns={{"{column}": "..."}}.'
            )
        ids = check_id_column(frame[column], column, table)
        if ids.dtype != frame[column].dtype:
            frame = frame.with_columns(ids)
    return frame


def _are_ordered(users: npt.NDArray[np.int32], times: npt.NDArray[Any]) -> bool:
    """Return whether events are ordered by user, and by time within each user."""
    for start in range(0, len(users), _BLOCK):
        user, time = (values[start : start + _BLOCK + 1] for values in (users, times))
        if not ((user[1:] > user[:-1]) | ((user[1:] == user[:-1]) & (time[1:] >= time[:-1]))).all():
            return False
    return True


def _item_rows(interactions: pl.DataFrame, items: pl.DataFrame) -> npt.NDArray[np.int32]:
    """Return the row in `items` of every event, int32 (events,)."""
    try:
        return rows_of(interactions["item_id"], items["item_id"], "item")
    except DataError:
        _check_known(interactions, items)  # raises an error that names the tables
        raise


def _check_known(interactions: pl.DataFrame, items: pl.DataFrame) -> None:
    given, known = interactions["item_id"], items["item_id"]
    if given.dtype.is_integer() != known.dtype.is_integer():
        raise DataError(
            "column `item_id` must have the same type in both tables: "
            f"expected {known.dtype} as in `items`, got {given.dtype} in `interactions`. Cast one of them."
        )
    unknown = items_not_in(interactions, items)
    if len(unknown):
        raise DataError(
            f"`interactions` has items that are not in `items`: expected only known ids, "
            f"got {len(unknown)} others, such as {some(unknown)}. Add them to `items`, or drop their events "
            'with unknown_items="drop" (--set data.unknown_items=drop).'
        )
