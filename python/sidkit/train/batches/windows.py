"""Whole histories in which each position predicts the next."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sidkit._arguments import Count, Seed, Size, checked
from sidkit.data import Sequences
from sidkit.train.batches.batch import Batch, check_rows
from sidkit.train.batches.ties import TiedEvents

__all__ = ["SequenceBatches", "Windows", "windows_of"]


class Windows:
    """Windows of histories: pieces of at most `max_items` positions, cut from the end of each history.

    Every event but the first of a history is a target of one window.

    Args:
        lengths: number of events of every history, integers (histories,).
        max_items: positions of a window.

    Attributes:
        users: number of the history of each window, int64 (windows,).
        kept: number of targets of each window, int64 (windows,).
        stops: place of the event after each window in the events of all histories, int64 (windows,).
    """

    def __init__(self, lengths: NDArray[np.integer[Any]], max_items: int) -> None:
        targets = np.maximum(lengths.astype(np.int64) - 1, 0)
        windows = windows_of(lengths, max_items)
        self.users = np.repeat(np.arange(len(targets)), windows)
        place = np.arange(len(self.users)) - np.repeat(windows.cumsum() - windows, windows)
        after = place * max_items  # events of the user after the window
        self.kept = np.minimum(targets[self.users] - after, max_items)
        self.stops = lengths.cumsum(dtype=np.int64)[self.users] - after

    def __len__(self) -> int:
        return len(self.users)

    def fill(self, filled: NDArray[np.int64], values: NDArray[np.int32], rows: NDArray[np.int64]) -> None:
        """Write the items of windows `rows` to the first columns of `filled`, (rows, at least kept + 1)."""
        for row, stop, count in zip(filled, self.stops[rows], self.kept[rows], strict=True):
            row[: count + 1] = values[stop - count - 1 : stop]


def windows_of(lengths: NDArray[np.integer[Any]], max_items: int) -> NDArray[np.int64]:
    """Return the number of windows of each history, int64 (histories,)."""
    return -(-np.maximum(lengths.astype(np.int64) - 1, 0) // max_items)


@checked
class SequenceBatches:
    """Whole histories in which each position predicts the next: the examples of networks over items.

    A history of more than `max_items` is cut into windows from its end, so every event but the first is a
    target once. Batches are drawn without regard to length, so that all targets count alike: in batches of
    one length each, the mean over a batch of short windows would weigh a target many times as much. The rows
    of a batch come in ascending order of length, for `Batch.by_length`, and are padded on the right with
    `padding`.

    Args:
        histories: training histories, one row per user; those with fewer than two items are left out.
        batch_size: windows per batch.
        max_items: positions of a window.
        padding: item row that stands for padding.
        seed: seed of the order.
        from_nothing: make the first item of a window a target, too, after a position of `padding`; the batch
            then has one position more.
        tokens: positions of an item in the network, for throughput.
        times: time of every event, see `Prefixes`.
    """

    def __init__(
        self,
        histories: Sequences,
        *,
        batch_size: Count,
        max_items: Count,
        padding: int,
        seed: Seed,
        from_nothing: bool = False,
        tokens: int = 1,
        times: NDArray[Any] | None = None,
    ) -> None:
        self._ties = None if times is None else TiedEvents(histories, times, seed=seed)
        self._values = histories.values
        self._batch_size = batch_size
        self._padding = padding
        self._seed = seed
        self._from_nothing = from_nothing
        self._tokens = tokens
        self._windows = Windows(histories.lengths, max_items)
        self.steps = -(-len(self._windows) // batch_size)

    def epoch(self, epoch: Size) -> list[NDArray[np.int64]]:
        """Shuffle the windows and cut them into batches, each in ascending order of length."""
        if self._ties:
            self._values = self._ties.shuffled(epoch)
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._windows))
        cuts = range(0, len(order), self._batch_size)
        batches = (order[start : start + self._batch_size] for start in cuts)
        return [rows[np.argsort(self._windows.kept[rows], kind="stable")] for rows in batches]

    def load(self, rows: NDArray[np.int64], rank: Size = 0, size: Count = 1) -> Batch:
        """Gather windows `rows`, padded to the longest of them."""
        rows = check_rows(rows, len(self._windows))
        kept = self._windows.kept[rows]
        lead = int(self._from_nothing)
        filled = np.full((len(rows), lead + int(kept.max()) + 1), self._padding, np.int64)
        self._windows.fill(filled[:, lead:], self._values, rows)
        items = torch.from_numpy(filled)
        targets = torch.from_numpy(kept + lead)
        batch = Batch(
            history=items[:, :-1],
            target=items[:, 1:],
            users=torch.from_numpy(self._windows.users[rows]),
            weight=1.0,
            targets=targets,
            tokens=int(targets.sum()) * self._tokens,
        )
        return batch.part(rank, size)
