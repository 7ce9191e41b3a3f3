"""Histories that a policy continues, with what a reward may need to know about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit.data import EvaluationSet, Sequences

__all__ = ["Prompts"]


@dataclass(frozen=True, eq=False)
class Prompts:
    """Histories, each with its user and, where known, the item that came next.

    Iteration yields the histories as lists of item ids, oldest first, which is what a reward receives.

    Attributes:
        histories: m rows of item rows, oldest first; none is empty.
        item_ids: polars Series (items,), the id of every item row.
        users: row of the user of each history, int32 (m,); that of `Dataset.user_ids` if the histories are
            those of a split.
        targets: row of the item that came next, int32 (m,); -1 where it is not known.
    """

    histories: Sequences
    item_ids: pl.Series
    users: npt.NDArray[np.int32]
    targets: npt.NDArray[np.int32]

    @staticmethod
    def of_prefixes(histories: Sequences, item_ids: pl.Series) -> Prompts:
        """Make a prompt of every prefix of every history that is followed by an item.

        Args:
            histories: training histories, one row per user.
            item_ids: the id of every item row.
        """
        user = np.repeat(np.arange(len(histories)), histories.lengths)
        place = np.arange(len(user)) - histories.offsets[user]
        ends = np.flatnonzero(place > 0)
        plain = Sequences(histories.values, histories.offsets)
        # The histories are not copied per prefix; `take` does so for a batch.
        return _Lazy(
            plain, item_ids, user[ends].astype(np.int32), plain.values[ends].astype(np.int32), place[ends]
        )

    @staticmethod
    def of_examples(examples: EvaluationSet, item_ids: pl.Series) -> Prompts:
        """Make prompts of evaluation examples that have a history."""
        some = examples.take(np.flatnonzero(examples.histories.lengths > 0))
        histories = Sequences(some.histories.values, some.histories.offsets)
        return Prompts(histories, item_ids, some.users, some.targets)

    def __len__(self) -> int:
        return len(self.targets)

    def __iter__(self) -> Iterator[list[Any]]:
        ids = self.item_ids
        return (ids.gather(row).to_list() for row in self.take(np.arange(len(self))).histories)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Length of each history, int64 (m,)."""
        return self.histories.lengths

    def take(self, rows: npt.NDArray[np.int64]) -> Prompts:
        """Copy some of the prompts, int64 (n,)."""
        return replace(
            self, histories=self.histories.take(rows), users=self.users[rows], targets=self.targets[rows]
        )


@dataclass(frozen=True, eq=False)
class _Lazy(Prompts):
    """Prompts whose histories are the first items of the rows of their users."""

    heads: npt.NDArray[np.int64]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return self.heads

    def take(self, rows: npt.NDArray[np.int64]) -> Prompts:
        users, heads = self.users[rows].astype(np.int64), self.heads[rows]
        histories = self.histories.take_heads(users, heads)
        return Prompts(histories, self.item_ids, self.users[rows], self.targets[rows])
