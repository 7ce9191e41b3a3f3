"""Batches of merged tokens of histories, segmented differently in every epoch."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sidkit._arguments import Count, Seed, Size, checked
from sidkit.data import Sequences
from sidkit.tokenizers.actionpiece.vocabulary import MergedVocabulary
from sidkit.train.batches.batch import Batch, check_rows
from sidkit.train.batches.next_item import Prefixes

__all__ = ["PieceBatches"]

_AT_ONCE = 1 << 15  # histories that are segmented at a time


@checked
class PieceBatches:
    """Every prefix of every history as merged tokens, with the next item: the examples of `ActionPieceTIGER`.

    Each epoch shuffles the tokens of every item of every example before they are merged. Examples of similar
    length share a batch; shorter ones are padded on the right with the size of the vocabulary. The merged
    tokens of an epoch are kept in memory, about 200 bytes per example of twenty items.

    Args:
        histories: training histories, one row per user.
        tokens: tokens of all items, (items, L).
        vocabulary: vocabulary of merged tokens.
        batch_size: examples per batch.
        max_items: most recent items of a prefix that are kept.
        seed: seed of the orders.
        times: time of every event, see `sidkit.train.batches.Prefixes`.

    Raises:
        DataError: if the tokens do not fit the vocabulary.
    """

    def __init__(
        self,
        histories: Sequences,
        tokens: NDArray[np.uint16],
        vocabulary: MergedVocabulary,
        *,
        batch_size: Count,
        max_items: Count,
        seed: Seed,
        times: NDArray[Any] | None = None,
    ) -> None:
        self._examples = Prefixes(histories, max_items, seed=seed, times=times)
        self._tokens = torch.from_numpy(tokens.astype(np.int64))  # (items, L)
        self._features = vocabulary.tokens(tokens)  # (items, L)
        self._vocabulary = vocabulary
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = -1
        self._pieces = Sequences.from_rows([])  # of each example, in the epoch
        self.steps = -(-len(self._examples) // batch_size)

    def epoch(self, epoch: Size) -> list[NDArray[np.int64]]:
        """Segment all histories, shuffle, sort by length within 32 batches, cut, shuffle the batches."""
        random = np.random.default_rng((self._seed, epoch))
        count = len(self._examples)
        self._segment(epoch, random.integers(1 << 64, size=count, dtype=np.uint64))
        order = random.permutation(count)
        group = np.arange(count) // (32 * self._batch_size)
        order = order[np.lexsort((self._pieces.lengths[order], group))]
        batches = [order[start : start + self._batch_size] for start in range(0, count, self._batch_size)]
        return [batches[index] for index in random.permutation(len(batches))]

    def load(self, rows: NDArray[np.int64], rank: Size = 0, size: Count = 1) -> Batch:
        """Gather examples `rows` as segmented in the last epoch that was requested; in epoch 0 by default."""
        if self._epoch < 0:
            self.epoch(0)
        rows = check_rows(rows, len(self._examples))
        read = self._pieces.take(rows)
        batch = Batch(
            history=torch.from_numpy(read.padded(len(self._vocabulary))),
            target=self._tokens[torch.from_numpy(self._examples.targets(rows))],
            users=torch.from_numpy(self._examples.users[rows]),
            weight=len(rows) / self._batch_size,
            targets=torch.ones(len(rows), dtype=torch.int64),
            tokens=len(read.values) + len(rows) * self._tokens.shape[1],
        )
        return batch.part(rank, size)

    def _segment(self, epoch: int, seeds: NDArray[np.uint64]) -> None:
        if epoch == self._epoch:
            return
        self._examples.epoch(epoch)
        values, lengths = [], []
        for start in range(0, len(seeds), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(seeds)))
            history = self._examples.histories(rows)
            read = self._vocabulary.segment(self._features[history.values], history.offsets, seeds[rows])
            values.append(read.values)
            lengths.append(read.lengths)
        self._epoch, none = epoch, np.zeros(0, np.int32)
        self._pieces = Sequences.from_lengths(
            np.concatenate([none, *values]), np.concatenate([none, *lengths])
        )
