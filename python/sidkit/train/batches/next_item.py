"""Every prefix of every history, with the item that came next."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sidkit._arguments import Count, Seed, Size, checked
from sidkit.data import Sequences
from sidkit.errors import DataError
from sidkit.train.batches.batch import Batch, check_rows
from sidkit.train.batches.ties import TiedEvents

__all__ = ["NextItemBatches", "Prefixes"]


class Prefixes:
    """Every non-empty prefix of every history, with the item that came next.

    Args:
        histories: one row per user.
        max_items: most recent items of a prefix that are kept.
        seed: seed of the order of tied timestamps.
        times: time of every event, numbers (nnz,): events with tied timestamps are shuffled at every epoch,
            see `TiedEvents`. None for the given order.

    Attributes:
        users: user of each example, int64 (examples,).
        lengths: number of items that are kept, int64 (examples,).
    """

    def __init__(
        self, histories: Sequences, max_items: Count, *, seed: Seed, times: NDArray[Any] | None = None
    ) -> None:
        self._ties = None if times is None else TiedEvents(histories, times, seed=seed)
        self._values = histories.values
        users = np.repeat(np.arange(len(histories)), histories.lengths)
        place = np.arange(len(users)) - histories.offsets[users]
        self._ends = np.flatnonzero(place > 0)  # where in `values` each target is
        self.users = users[self._ends]
        self.lengths = np.minimum(place[self._ends], max_items)

    def __len__(self) -> int:
        return len(self._ends)

    def epoch(self, epoch: Size) -> None:
        """Shuffle tied timestamps for an epoch."""
        if self._ties:
            self._values = self._ties.shuffled(epoch)

    def histories(self, rows: NDArray[np.int64]) -> Sequences:
        """Return the kept items of examples `rows`."""
        lengths = self.lengths[rows]
        items = np.arange(lengths.sum()) + np.repeat(self._ends[rows] - lengths.cumsum(), lengths)
        return Sequences.from_lengths(self._values[items], lengths)

    def targets(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the targets of examples `rows`."""
        return self._values[self._ends[rows]].astype(np.int64)


@checked
class NextItemBatches:
    """Every prefix of every history, with the item that came next: the examples of TIGER.

    A batch holds histories of one length, so there is no padding and no mask. The remainder of a length makes
    a smaller batch with a smaller weight.

    Args:
        histories: training histories, one row per user.
        tokens: tokens of all items, (items, L).
        batch_size: examples per batch.
        max_items: most recent items of a prefix that are kept.
        seed: seed of the order.
        times: time of every event, see `Prefixes`.
    """

    def __init__(
        self,
        histories: Sequences,
        tokens: NDArray[np.uint16],
        *,
        batch_size: Count,
        max_items: Count,
        seed: Seed,
        times: NDArray[Any] | None = None,
    ) -> None:
        self._tokens = torch.from_numpy(tokens.astype(np.int64))  # (items, L)
        self._examples = Prefixes(histories, max_items, seed=seed, times=times)
        self._batch_size = batch_size
        self._seed = seed
        counts = np.bincount(self._examples.lengths, minlength=1)
        self.steps = int(np.sum(-(-counts // batch_size)))

    def __len__(self) -> int:
        return len(self._examples)

    def epoch(self, epoch: Size) -> list[NDArray[np.int64]]:
        """Shuffle the examples within each length, cut into batches, shuffle the batches."""
        self._examples.epoch(epoch)
        random = np.random.default_rng((self._seed, epoch))
        lengths = self._examples.lengths
        order = random.permutation(len(lengths))
        order = order[np.argsort(lengths[order], kind="stable")]
        cuts = np.flatnonzero(np.diff(lengths[order])) + 1
        batches = [
            rows[start : start + self._batch_size]
            for rows in np.split(order, cuts)
            for start in range(0, len(rows), self._batch_size)
        ]
        return [batches[index] for index in random.permutation(len(batches))]

    def load(self, rows: NDArray[np.int64], rank: Size = 0, size: Count = 1) -> Batch:
        """Gather examples `rows`, which all have the same length."""
        rows = check_rows(rows, len(self._examples))
        histories = self._examples.histories(rows)
        if np.ptp(histories.lengths):
            raise DataError("a batch is invalid: expected examples of one length. Pass rows of `epoch`.")
        items = torch.from_numpy(histories.values.astype(np.int64)).view(len(rows), -1)
        batch = Batch(
            history=self._tokens[items],  # (B, n, L)
            target=self._tokens[torch.from_numpy(self._examples.targets(rows))],
            users=torch.from_numpy(self._examples.users[rows]),
            weight=len(rows) / self._batch_size,
            targets=torch.ones(len(rows), dtype=torch.int64),
            tokens=len(rows) * (items.shape[1] + 1) * self._tokens.shape[1],
        )
        return batch.part(rank, size)
