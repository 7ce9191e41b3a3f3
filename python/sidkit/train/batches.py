"""Batches without padding waste, in an order that depends on the seed and the epoch alone.

The order of an epoch never depends on what came before it, so that an interrupted training can continue in
its middle.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sidkit.data import Sequences
from sidkit.train.ties import TiedEvents

__all__ = ["Batch", "Batches", "NextItemBatches", "Prefixes", "SequenceBatches"]


@dataclass(frozen=True)
class Batch:
    """What one step reads.

    Attributes:
        history: int64; tokens (B, n, L) for a generator, item indices (B, T) for a sequence model.
        target: int64; tokens (B, L), or item indices (B, T).
        users: user indices, int64 (B,).
        weight: the share of a full batch, in (0, 1]: the loss of a smaller batch counts less.
        targets: how many next items each row has, int64 (B,): over their sum the loss is a mean.
        tokens: real positions that the model reads, for throughput; padding is none.
    """

    history: Tensor
    target: Tensor
    users: Tensor
    weight: float
    targets: Tensor
    tokens: int

    def part(self, rank: int, size: int) -> "Batch":
        """The share of one of `size` processes: every `size`-th row; it may have none."""
        rows = slice(rank, None, size)
        return replace(
            self,
            history=self.history[rows],
            target=self.target[rows],
            users=self.users[rows],
            targets=self.targets[rows],
        )

    def to(self, device: torch.device) -> "Batch":
        """The same on a device; the number of targets stays where it is."""
        history, target, users = (part.to(device) for part in (self.history, self.target, self.users))
        return replace(self, history=history, target=target, users=users)


class Batches(Protocol):
    """A source of batches that `fit` can start anywhere."""

    steps: int  # batches an epoch, the same in each

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """The rows of every batch of an epoch, in order; what is loaded from now on is of this epoch."""
        ...

    def load(self, rows: NDArray[np.int64]) -> Batch:
        """Gather one batch."""
        ...


class Prefixes:
    """Every prefix of every history, at least one item long, with the item that came next.

    Args:
        histories: one row a user.
        max_items: the most recent items of a prefix that are kept.
        seed: of the order of events of one time.
        times: of the events, numbers (nnz,): those of one time are in another order at every epoch, see
            `TiedEvents`. Without them, the order stays.

    Attributes:
        users: whose history each example is of, int64 (examples,).
        lengths: how many items are kept, int64 (examples,).
    """

    def __init__(
        self, histories: Sequences, max_items: int, *, seed: int, times: NDArray[Any] | None = None
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

    def epoch(self, epoch: int) -> None:
        """Put events of one time in the order of the epoch."""
        if self._ties:
            self._values = self._ties.shuffled(epoch)

    def histories(self, rows: NDArray[np.int64]) -> Sequences:
        """The items that are kept of examples `rows`."""
        lengths = self.lengths[rows]
        items = np.arange(lengths.sum()) + np.repeat(self._ends[rows] - lengths.cumsum(), lengths)
        return Sequences.from_lengths(self._values[items], lengths)

    def targets(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The items that came next in examples `rows`."""
        return self._values[self._ends[rows]].astype(np.int64)


class NextItemBatches:
    """Every prefix of every history, with the item that came next: TIGER's examples.

    A batch holds histories of one length, so there is no padding and no mask anywhere. What is left over at a
    length makes a smaller batch, whose weight says so.

    Args:
        histories: training histories, one row a user.
        tokens: the tokens of all items, (items, L).
        batch_size: examples a batch.
        max_items: the most recent items of a prefix that are kept.
        seed: of the order.
        times: of the events, numbers (nnz,): those of one time are in another order at every epoch, see
            `TiedEvents`. Without them, the order stays.
    """

    def __init__(
        self,
        histories: Sequences,
        tokens: NDArray[np.uint16],
        *,
        batch_size: int,
        max_items: int,
        seed: int,
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

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
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

    def load(self, rows: NDArray[np.int64]) -> Batch:
        """Gather examples `rows`, which all have the same length."""
        items = torch.from_numpy(self._examples.histories(rows).values.astype(np.int64)).view(len(rows), -1)
        return Batch(
            history=self._tokens[items],  # (B, n, L)
            target=self._tokens[torch.from_numpy(self._examples.targets(rows))],
            users=torch.from_numpy(self._examples.users[rows]),
            weight=len(rows) / self._batch_size,
            targets=torch.ones(len(rows), dtype=torch.int64),
            tokens=len(rows) * (items.shape[1] + 1) * self._tokens.shape[1],
        )


class SequenceBatches:
    """Whole histories, each position predicting the next: the examples of models that read items.

    A history longer than the model reads is cut into windows from its end, so that every event is a target
    once. Windows of similar length share a batch; the shorter are padded on the right with `padding`.

    Args:
        histories: training histories, one row a user; those with fewer than two items are left out.
        batch_size: windows a batch.
        max_items: positions of a window.
        padding: the item index that stands for no item.
        seed: of the order.
        from_nothing: whether the first item of a window is a target too, of a history that is only `padding`.
            The batch has one position more then.
        tokens: how many positions an item takes in the model, for throughput.
        times: of the events, numbers (nnz,): those of one time are in another order at every epoch, see
            `TiedEvents`. Without them, the order stays.
    """

    def __init__(
        self,
        histories: Sequences,
        *,
        batch_size: int,
        max_items: int,
        padding: int,
        seed: int,
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
        targets = np.maximum(histories.lengths - 1, 0)  # of each user
        windows = -(-targets // max_items)
        self._users = np.repeat(np.arange(len(targets)), windows)
        place = np.arange(len(self._users)) - np.repeat(windows.cumsum() - windows, windows)
        after = place * max_items  # events of the user after the window
        self._kept = np.minimum(targets[self._users] - after, max_items)  # targets in the window
        self._stops = histories.offsets[1:][self._users] - after
        self.steps = -(-len(self._users) // batch_size)

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """Shuffle, sort by length within groups of 32 batches, cut into batches, shuffle the batches."""
        if self._ties:
            self._values = self._ties.shuffled(epoch)
        random = np.random.default_rng((self._seed, epoch))
        order = random.permutation(len(self._users))
        group = np.arange(len(order)) // (32 * self._batch_size)
        order = order[np.lexsort((self._kept[order], group))]
        batches = [
            order[start : start + self._batch_size] for start in range(0, len(order), self._batch_size)
        ]
        return [batches[index] for index in random.permutation(len(batches))]

    def load(self, rows: NDArray[np.int64]) -> Batch:
        """Gather windows `rows`, padded to the longest of them."""
        kept = self._kept[rows]
        lead = int(self._from_nothing)
        filled = np.full((len(rows), lead + int(kept.max()) + 1), self._padding, np.int64)
        for row, stop, count in zip(filled, self._stops[rows], kept, strict=True):
            row[lead : lead + count + 1] = self._values[stop - count - 1 : stop]
        items = torch.from_numpy(filled)
        targets = torch.from_numpy(kept + lead)
        return Batch(
            history=items[:, :-1],
            target=items[:, 1:],
            users=torch.from_numpy(self._users[rows]),
            weight=1.0,
            targets=targets,
            tokens=int(targets.sum()) * self._tokens,
        )
