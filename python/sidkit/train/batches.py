"""Batches with little padding, in an order that depends on seed and epoch only.

The order of an epoch is independent of earlier epochs, so an interrupted training can continue within one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sidkit._arguments import Bounds, Count, Seed, Shape, Size, check_argument, checked
from sidkit.data import Sequences
from sidkit.errors import DataError
from sidkit.models.layers.lengths import length_groups
from sidkit.train.ties import TiedEvents

__all__ = ["Batch", "Batches", "NextItemBatches", "Prefixes", "SequenceBatches", "mean_by_length"]


@dataclass(frozen=True)
class Batch:
    """Input of one training step.

    Attributes:
        history: int64; tokens (B, n, L) of a generative model, or item rows (B, T).
        target: int64; tokens (B, L), or item rows (B, T).
        users: user indices, int64 (B,).
        weight: share of a full batch, in (0, 1]; the loss of a smaller batch counts less.
        targets: number of targets of each row, int64 (B,); the loss is a mean over their sum.
        tokens: real positions, without padding, for throughput.
    """

    history: Tensor
    target: Tensor
    users: Tensor
    weight: float
    targets: Tensor
    tokens: int

    def part(self, rank: int, size: int) -> "Batch":
        """Return the share of one of `size` processes: every `size`-th row, possibly none."""
        rows = slice(rank, None, size)
        return replace(
            self,
            history=self.history[rows],
            target=self.target[rows],
            users=self.users[rows],
            targets=self.targets[rows],
        )

    def by_length(self) -> "list[Batch]":
        """Return the groups of rows of similar length, each padded to its own longest row only."""
        return [
            replace(
                self,
                history=self.history[rows, :width],
                target=self.target[rows, :width],
                users=self.users[rows],
                targets=self.targets[rows],
            )
            for rows, width in length_groups(self.targets)
        ]

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device; the number of targets stays on the CPU."""
        history, target, users = (part.to(device) for part in (self.history, self.target, self.users))
        return replace(self, history=history, target=target, users=users)


def mean_by_length(loss: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
    """Return the mean loss over the targets of a batch, computed in groups of similar length."""
    total = batch.targets.sum()
    losses = [loss(part) * (part.targets.sum() / total).item() for part in batch.by_length()]
    return torch.stack(losses).sum()


def check_rows(rows: NDArray[np.integer[Any]], examples: int) -> NDArray[np.int64]:
    """Return rows of examples, at least one, or raise DataError if there is another."""
    kind = Annotated[NDArray[np.int64], Shape("rows"), Bounds(ge=0, le=examples - 1)]
    found: NDArray[np.int64] = check_argument("rows", rows, kind)
    if not len(found):
        raise DataError("`rows` is invalid: expected at least one row, got none.")
    return found


class Batches(Protocol):
    """Source of batches from which `fit` can start at any step."""

    steps: int  # batches per epoch, the same in each

    def epoch(self, epoch: Size) -> list[NDArray[np.int64]]:
        """Return the rows of every batch of an epoch, in order; `load` reads this epoch from now on."""
        ...

    def load(self, rows: NDArray[np.int64]) -> Batch:
        """Gather one batch."""
        ...


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

    def load(self, rows: NDArray[np.int64]) -> Batch:
        """Gather examples `rows`, which all have the same length."""
        rows = check_rows(rows, len(self._examples))
        histories = self._examples.histories(rows)
        if np.ptp(histories.lengths):
            raise DataError("a batch is invalid: expected examples of one length. Pass rows of `epoch`.")
        items = torch.from_numpy(histories.values.astype(np.int64)).view(len(rows), -1)
        return Batch(
            history=self._tokens[items],  # (B, n, L)
            target=self._tokens[torch.from_numpy(self._examples.targets(rows))],
            users=torch.from_numpy(self._examples.users[rows]),
            weight=len(rows) / self._batch_size,
            targets=torch.ones(len(rows), dtype=torch.int64),
            tokens=len(rows) * (items.shape[1] + 1) * self._tokens.shape[1],
        )


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
        targets = np.maximum(histories.lengths - 1, 0)  # of each user
        windows = -(-targets // max_items)
        self._users = np.repeat(np.arange(len(targets)), windows)
        place = np.arange(len(self._users)) - np.repeat(windows.cumsum() - windows, windows)
        after = place * max_items  # events of the user after the window
        self._kept = np.minimum(targets[self._users] - after, max_items)  # targets in the window
        self._stops = histories.offsets[1:][self._users] - after
        self.steps = -(-len(self._users) // batch_size)

    def epoch(self, epoch: Size) -> list[NDArray[np.int64]]:
        """Shuffle the windows and cut them into batches, each in ascending order of length."""
        if self._ties:
            self._values = self._ties.shuffled(epoch)
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._users))
        cuts = range(0, len(order), self._batch_size)
        batches = (order[start : start + self._batch_size] for start in cuts)
        return [rows[np.argsort(self._kept[rows], kind="stable")] for rows in batches]

    def load(self, rows: NDArray[np.int64]) -> Batch:
        """Gather windows `rows`, padded to the longest of them."""
        rows = check_rows(rows, len(self._kept))
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
