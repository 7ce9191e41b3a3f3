"""Histories of users: those of a file, and events of running sessions."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from sidkit._tables import read_csv, read_parquet
from sidkit.data import Dataset, Histories
from sidkit.errors import DataError

__all__ = ["EventStore", "UserHistories", "read_histories"]

#: Function from a user id to item ids, oldest first; None for an unknown user.
UserHistories = Callable[[Any], list[Any] | None]


def read_histories(path: Path) -> UserHistories:
    """Read the histories of interactions with `user_id`, `item_id` and `timestamp`, Parquet or CSV.

    Raises:
        DataError: if the file is not such a table.
    """
    try:
        frame = read_csv(path) if path.suffix == ".csv" else read_parquet(path)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(
            f"`{path}` is not a readable table of interactions: expected Parquet or CSV, got {error}. "
            "Write it again."
        ) from error
    return histories_of(Dataset.from_frames(frame))


def histories_of(dataset: Dataset, histories: Histories | None = None) -> UserHistories:
    """Return the histories of a dataset as a function of user ids."""
    found = dataset.histories() if histories is None else histories

    def of(user: Any) -> list[Any] | None:
        try:
            (row,) = dataset.find_users([user])
        except DataError:
            return None
        return dataset.item_ids.gather(found[int(row)]).to_list()

    return of


class EventStore:
    """Latest events of users in memory, limited in users and in events per user.

    Where there are too many users, the one whose latest event is oldest is dropped.

    Args:
        users: maximum number of users.
        events: maximum number of events per user.
    """

    def __init__(self, users: int, events: int) -> None:
        self.users, self.events = users, events
        self._lock = threading.Lock()
        self._latest: OrderedDict[int | str, deque[Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._latest)

    def add(self, user: int | str, item_ids: list[Any]) -> int:
        """Append events of a user, and return how many of the user are stored."""
        with self._lock:
            events = self._latest.setdefault(user, deque(maxlen=self.events))
            events.extend(item_ids)
            self._latest.move_to_end(user)
            if len(self._latest) > self.users:
                self._latest.popitem(last=False)
            return len(events)

    def history(self, user: int | str) -> list[Any] | None:
        """Return the stored events of a user, oldest first; None for an unknown user."""
        with self._lock:
            events = self._latest.get(user)
            return None if events is None else list(events)
