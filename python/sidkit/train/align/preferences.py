"""Groups of items of which one is preferred after a history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit.data import Dataset, Histories, Sequences
from sidkit.data.id_columns import rows_of
from sidkit.errors import ConfigError, DataError
from sidkit.train.align.prompts import Prompts

__all__ = ["Preferences"]


@dataclass(frozen=True, eq=False)
class Preferences:
    """Histories, the item that is preferred after each, and others that are not.

        >>> clicked, others = ["comb", "soap"], [["soap"], ["comb"]]
        >>> pairs = Preferences.from_ids([["soap"], ["comb"]], clicked, others, data.item_ids)
        >>> aligned = model.align(pairs, method=DPO(), validation=split.validation)

    Attributes:
        histories: m rows of item rows, oldest first; none is empty.
        chosen: row of the preferred item, int32 (m,).
        rejected: rows of the others, int32 (m, n), padded with -1.
        item_ids: polars Series (items,), the id of every item row.
        users: row of the user of each history, int32 (m,).

    Raises:
        DataError: if there is none, the arrays do not fit together, an item is unknown, or the preferred item
            is among the others.
    """

    histories: Sequences
    chosen: npt.NDArray[np.int32]
    rejected: npt.NDArray[np.int32]
    item_ids: pl.Series
    users: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        count = len(self.histories)
        shapes = np.shape(self.chosen), np.shape(self.rejected)[:1], np.shape(self.users)
        if not count or set(shapes) != {(count,)} or np.ndim(self.rejected) != 2:
            raise DataError(
                "preferences are invalid: expected at least one history, and for each a preferred item, a "
                f"row of others and a user, got {count} histories and shapes {np.shape(self.chosen)}, "
                f"{np.shape(self.rejected)} and {np.shape(self.users)}. Correct the arrays."
            )
        items = np.column_stack([self.chosen, self.rejected])
        if items.shape[1] < 2 or items[:, :2].min() < 0 or items.max() >= len(self.item_ids):
            raise DataError(
                f"preferences hold unknown items: expected rows in 0..{len(self.item_ids) - 1} and at least "
                f"one that is not preferred, got {int(items[:, :2].min())} to {int(items.max())}. "
                "Remove them."
            )
        if (self.rejected == np.asarray(self.chosen)[:, None]).any():
            row = int(np.argmax((self.rejected == np.asarray(self.chosen)[:, None]).any(1)))
            raise DataError(
                f"preference {row} contradicts itself: expected the preferred item not to be among the "
                f"others, got {self.item_ids[int(self.chosen[row])]!r} in both. Remove it."
            )
        if not self.histories.lengths.all():
            raise DataError(
                f"preference {int(np.argmin(self.histories.lengths))} has an empty history: expected at "
                "least one item. Remove it."
            )

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def prompts(self) -> Prompts:
        """The histories; the preferred item is not the one that came next, so there are no targets."""
        return Prompts(self.histories, self.item_ids, self.users, np.full(len(self), -1, np.int32))

    def take(self, rows: npt.NDArray[np.int64]) -> Preferences:
        """Copy some of the preferences, int64 (n,)."""
        return replace(
            self,
            histories=self.histories.take(rows),
            chosen=self.chosen[rows],
            rejected=self.rejected[rows],
            users=self.users[rows],
        )

    def __repr__(self) -> str:
        return f"Preferences({len(self)} histories, up to {self.rejected.shape[1]} items not preferred)"

    @classmethod
    def from_ids(
        cls,
        histories: Sequence[Sequence[Any]],
        chosen: Sequence[Any],
        rejected: Sequence[Sequence[Any]],
        item_ids: pl.Series,
    ) -> Preferences:
        """Build preferences from item ids, such as impressions: the item clicked, and the others shown.

        Args:
            histories: item ids of each history, oldest first.
            chosen: id of the preferred item of each.
            rejected: ids of the others, one list per history.
            item_ids: ids of the catalogue, such as `data.item_ids`.

        Raises:
            DataError: if an id is unknown, or the lists do not fit together.
        """
        rows = Histories.from_ids(histories, item_ids)
        others = Histories.from_ids(rejected, item_ids).padded(-1)
        preferred = rows_of(pl.Series(list(chosen)), item_ids, "item")
        users = np.arange(len(rows), dtype=np.int32)
        return cls(Sequences(rows.values, rows.offsets), preferred, others.astype(np.int32), item_ids, users)

    @classmethod
    def from_ratings(
        cls,
        data: Dataset,
        histories: Histories,
        *,
        column: str = "rating",
        margin: float = 1.0,
        seed: int = 0,
    ) -> Preferences:
        """Make pairs of items of one user whose ratings differ.

        Each event of the histories with an earlier one is compared with a random event of the same user that
        is rated lower; the history is what the user did before both.

        Args:
            data: dataset with the column, one row of `histories` per user.
            histories: training histories, such as `split.train`.
            column: column of ratings or labels in `data.interactions`.
            margin: least difference of the two ratings.
            seed: seed of the draws.

        Raises:
            ConfigError: if `margin` is not positive or there is no such column.
            DataError: if there is no pair.
        """
        if not margin > 0:
            raise ConfigError(f"`margin` is invalid: expected a number above 0, got {margin}. Correct it.")
        value = ratings_of(data, column)
        random = np.random.default_rng(seed)
        users, lengths, chosen, rejected = [], [], [], []
        for user, row in enumerate(histories):
            rated = np.array([value.get((user, item), np.nan) for item in row.tolist()])
            for place in range(1, len(row)):
                lower = np.flatnonzero(rated <= rated[place] - margin)
                lower = lower[(lower > 0) & (row[lower] != row[place])]
                if len(lower):
                    other = int(random.choice(lower))
                    users.append(user)
                    lengths.append(min(place, other))
                    chosen.append(row[place])
                    rejected.append([row[other]])
        if not users:
            raise DataError(
                f"`{column}` gives no preferences: expected users with ratings that differ by {margin} or "
                "more, got none. Lower `margin`."
            )
        rows = np.array(users)
        plain = Sequences(histories.values, histories.offsets)
        return cls(
            plain.take_heads(rows, np.array(lengths)),
            np.array(chosen, np.int32),
            np.array(rejected, np.int32),
            histories.item_ids,
            rows.astype(np.int32),
        )


def ratings_of(data: Dataset, column: str) -> dict[tuple[int, int], float]:
    """Return the value of a column for each (user row, item row) of a dataset; of several, the last.

    Raises:
        ConfigError: if there is no such column of numbers.
    """
    if column not in data.interactions.columns or not data.interactions[column].dtype.is_numeric():
        raise ConfigError(
            f"`{data.name}` has no column of numbers `{column}`: expected one of "
            f"{', '.join(data.interactions.columns)}. Name another with `column`."
        )
    values = data.interactions[column].cast(pl.Float64).to_numpy()
    pairs = zip(data.user_index.tolist(), data.item_index.tolist(), values.tolist(), strict=True)
    return {(user, item): value for user, item, value in pairs if np.isfinite(value)}
