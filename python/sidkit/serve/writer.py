"""Changes of the catalogue: written to the journal, then visible, in one order in every process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sidkit.serve.live import Delete, Journal, LiveCatalogue, Put, Reload, Snapshot
from sidkit.serve.live.changes import ItemId, from_bytes, merged, to_bytes
from sidkit.serve.source import ServerSource
from sidkit.serve.users import UserHistories

__all__ = ["CatalogueWriter"]


class CatalogueWriter:
    """The catalogue of a process and the journal that all processes share.

    Calls may come from several threads, and wait for each other; readers take `snapshot` and never wait.

    Args:
        source: the model and its files.
        state: directory of the journal; None keeps changes in memory.
        applied: called with the position in the journal up to which changes are visible, when it has moved.

    Attributes:
        users: histories of users, or None.
        compared: the model with which requests may compare this one, or None. It is not affected by changes.

    Raises:
        SidkitError: if a file is damaged or does not fit the others.
        OSError: if the directory cannot be written.
    """

    users: UserHistories | None
    compared: Snapshot | None

    def __init__(
        self,
        source: ServerSource,
        state: Path | None,
        *,
        applied: Callable[[int], None] = lambda position: None,
    ) -> None:
        self._source, self._applied = source, applied
        self._lock = threading.RLock()
        self._journal = None if state is None else Journal(state)
        self._changes: list[Put | Delete] = []
        self._must_reload = False
        self._read: list[Put | Delete] = []  # from the journal, and not applied yet
        files, self.users = source.open()
        self._catalogue = LiveCatalogue(files)
        self.compared = self._open_compared()
        self._follow()

    @property
    def snapshot(self) -> Snapshot:
        """Current version of the catalogue and the model."""
        return self._catalogue.snapshot

    @property
    def journal_bytes(self) -> int:
        """Size of the journal; 0 without one."""
        return 0 if self._journal is None else self._journal.position

    @property
    def behind(self) -> bool:
        """True if another process has written changes or a reload that this one has not followed."""
        return self._must_reload or bool(self._read) or (self._journal is not None and self._journal.behind())

    def follow(self) -> bool:
        """Apply the changes of other processes, once these have applied them.

        This keeps the process that changes the catalogue and those that follow from competing for the CPU.

        Returns:
            Whether another process has opened its model again, so that this one should do so with
            `open_again`.

        Raises:
            FormatError: if the journal is damaged.
        """
        with self._lock, nullcontext() if self._journal is None else self._journal.reading():
            self._follow()
            must_reload, self._must_reload = self._must_reload, False
            return must_reload

    def put(self, items: Sequence[dict[str, Any]], vectors: Sequence[Any]) -> tuple[Put, Snapshot]:
        """Add or replace items, see `LiveCatalogue.plan_put`.

        Returns:
            The change, which is on disk, and the version in which it is visible.
        """
        with self._writing():
            change = self._catalogue.plan_put(items, vectors)
            return change, self._commit(change)

    def delete(self, item_ids: Sequence[ItemId]) -> tuple[int, list[ItemId], Snapshot]:
        """Remove items.

        Returns:
            The number of removed items, those that did not exist, and the version in which they are gone.
        """
        with self._writing():
            change, missing = self._catalogue.plan_delete(item_ids)
            after = self._commit(change) if change.item_ids else self.snapshot
            return len(change.item_ids), missing, after

    def reload(self) -> bool:
        """Open the model and its files again, in this process and then in the others.

        Requests are answered by the former model until the new one is ready.

        Returns:
            Whether the files of the model are others than before.

        Raises:
            SidkitError: if they cannot be read; the former model stays.
        """
        before = self.snapshot.model.version
        self.open_again()
        if self._journal is not None:
            with self._writing():
                self._journal.append(to_bytes(Reload()))
                self._applied(self.journal_bytes)
        return self.snapshot.model.version != before

    def open_again(self) -> None:
        """Open the model and its files again, in this process.

        Raises:
            SidkitError: if they cannot be read; the former model stays.
        """
        files, users = self._source.open()
        compared = self._open_compared()
        catalogue = LiveCatalogue(files)
        if len(files.model.item_ids):
            first = files.model.item_ids[:1].to_list()
            files.model.recommend([first, []], 10)  # what is computed on first use
        earlier = self._changes[:]
        for change in merged(earlier):
            catalogue.apply(change)
        with self._lock:
            self._read_journal()
            self._changes += self._read
            self._read.clear()
            for change in merged(self._changes[len(earlier) :]):
                catalogue.apply(change)
            self._catalogue, self.users, self.compared = catalogue, users, compared
            self._applied(self.journal_bytes)

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    def _open_compared(self) -> Snapshot | None:
        files = self._source.open_compared()
        return None if files is None else LiveCatalogue(files).snapshot

    def _commit(self, change: Put | Delete) -> Snapshot:
        if self._journal is not None:
            self._journal.append(to_bytes(change))
        self._changes.append(change)
        self._catalogue.apply(change)
        self._applied(self.journal_bytes)
        return self.snapshot

    def _read_journal(self) -> None:
        for record in [] if self._journal is None else self._journal.read():
            change = from_bytes(record)
            if isinstance(change, Reload):
                self._must_reload = True
            else:
                self._read.append(change)

    def _follow(self) -> None:
        self._read_journal()
        before = self._catalogue.snapshot.version
        try:
            for merged_change in merged(self._read):
                self._catalogue.apply(merged_change)
        finally:  # a change that cannot be applied is tried again
            done = self._catalogue.snapshot.version - before
            self._changes += self._read[:done]
            del self._read[:done]
        self._applied(self.journal_bytes)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the locks of this process and of all processes, with the changes of the others applied."""
        with self._lock, nullcontext() if self._journal is None else self._journal.writing():
            self._follow()
            yield
