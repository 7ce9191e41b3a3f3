"""Whole histories in which each position predicts the next, read from Parquet files during the training."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from sidkit._arguments import Count, Seed, Size, checked
from sidkit.data import ParquetHistories
from sidkit.train.batches.batch import Batch, check_rows
from sidkit.train.batches.windows import Windows, windows_of

__all__ = ["FragmentBatches"]

_Value = TypeVar("_Value")


@checked
class FragmentBatches:
    """Windows of histories as in `SequenceBatches`, read from the fragments of Parquet files.

    An epoch takes the fragments in a random order, a group of them at a time, whose windows are shuffled
    together. Of a batch, a process loads the windows of every `size`-th fragment in that order, and reads no
    other fragment; the batches are the same for any number of processes. Memory: the events and windows of
    one group, which are divided among the processes.

    Args:
        histories: training histories; those with fewer than two items are left out.
        batch_size: windows per batch.
        max_items: positions of a window.
        padding: item row that stands for padding.
        seed: seed of the order.
        from_nothing: as in `SequenceBatches`.
        tokens: positions of an item in the network, for throughput.
        at_once: fragments of a group.
    """

    def __init__(
        self,
        histories: ParquetHistories,
        *,
        batch_size: Count,
        max_items: Count,
        padding: int,
        seed: Seed,
        from_nothing: bool = False,
        tokens: int = 1,
        at_once: Count = 16,
    ) -> None:
        self._histories = histories
        self._batch_size = batch_size
        self._max_items = max_items
        self._padding = padding
        self._seed = seed
        self._lead = int(from_nothing)
        self._tokens = tokens
        self._at_once = at_once
        windows = windows_of(histories.lengths, max_items)
        counts = [windows[each.start : each.start + each.rows].sum() for each in histories.fragments]
        self._first = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])  # window of each fragment
        self.steps = -(-int(self._first[-1]) // batch_size)
        self._place = np.arange(len(counts))  # of each fragment in the epoch
        self._windows: OrderedDict[int, Windows] = OrderedDict()
        self._values: OrderedDict[int, NDArray[np.int32]] = OrderedDict()

    def epoch(self, epoch: Size) -> Iterator[NDArray[np.int64]]:
        """Shuffle the fragments, and the windows within each group of them; cut them into batches."""
        random = np.random.default_rng((self._seed, epoch))
        order = random.permutation(len(self._place))
        self._place = np.argsort(order)
        return self._batches(order, random)

    def _batches(self, order: NDArray[np.int64], random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        left = np.empty(0, np.int64)
        for start in range(0, len(order), self._at_once):
            group = order[start : start + self._at_once]
            windows = [np.arange(self._first[each], self._first[each + 1]) for each in group]
            rows = np.concatenate([left, random.permutation(np.concatenate(windows))])
            full = len(rows) - len(rows) % self._batch_size
            yield from rows[:full].reshape(-1, self._batch_size)
            left = rows[full:]
        if len(left):
            yield left

    def load(self, rows: NDArray[np.int64], rank: Size = 0, size: Count = 1) -> Batch:
        """Gather windows `rows`, or those in the fragments of one process, in ascending order of length."""
        rows = check_rows(rows, int(self._first[-1]))
        fragment = np.searchsorted(self._first, rows, side="right") - 1
        kept, users = np.empty((2, len(rows)), np.int64)
        touched = sorted(np.unique(fragment).tolist(), key=self._place.__getitem__)
        for each in touched:
            chosen = fragment == each
            windows, own = self._windows_of(each), rows[chosen] - self._first[each]
            kept[chosen] = windows.kept[own]
            users[chosen] = windows.users[own] + self._histories.fragments[each].start
        mine = np.flatnonzero(self._place[fragment] % size == rank)
        mine = mine[np.argsort(kept[mine], kind="stable")]
        width = self._lead + int(kept[mine].max(initial=0)) + 1
        filled = np.full((len(mine), width), self._padding, np.int64)
        for each in touched:
            chosen = np.flatnonzero(fragment[mine] == each)
            if len(chosen):
                part = filled[chosen, self._lead :]
                own = rows[mine[chosen]] - self._first[each]
                self._windows_of(each).fill(part, self._values_of(each), own)
                filled[chosen, self._lead :] = part
        items = torch.from_numpy(filled)
        every = int(kept.sum()) + self._lead * len(rows)
        targets = torch.from_numpy(kept[mine] + self._lead)
        return Batch(
            history=items[:, :-1],
            target=items[:, 1:],
            users=torch.from_numpy(users[mine]),
            weight=1.0,
            targets=targets,
            tokens=every * self._tokens,
            share=int(targets.sum()) / every,
        )

    def _windows_of(self, number: int) -> Windows:
        def make() -> Windows:
            fragment = self._histories.fragments[number]
            lengths = self._histories.lengths[fragment.start : fragment.start + fragment.rows]
            return Windows(lengths, self._max_items)

        return _remembered(self._windows, number, make, self._at_once)

    def _values_of(self, number: int) -> NDArray[np.int32]:
        return _remembered(self._values, number, lambda: self._histories.read(number).values, self._at_once)


def _remembered(known: OrderedDict[int, _Value], key: int, make: Callable[[], _Value], most: int) -> _Value:
    """Return what belongs to a key; what was used longest ago is forgotten when there are too many."""
    if key not in known:
        while len(known) >= most:
            known.popitem(last=False)
        known[key] = make()
    known.move_to_end(key)
    return known[key]
