"""Reserved positions for a group of items, such as new ones."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import TopK, checked, shown
from sidkit._core import ItemSet
from sidkit.data.id_columns import id_series
from sidkit.errors import ConfigError, DataError
from sidkit.rerank.base import Float32, Int32, ItemFeatures, Ranked, Requirement, Reranker, best, taken
from sidkit.rerank.cached import Cached
from sidkit.rerank.positions import first_positions

__all__ = ["SlotPolicy"]


@checked
@dataclass(kw_only=True, eq=False, repr=False)
class SlotPolicy(Reranker):
    """Least and greatest number of items of a group in every list, such as "1 to 3 new items".

    Of all lists that keep both numbers, the one with the highest sum of scores is chosen, and its order is
    that of the scores: no other list has a higher expected gain, for any gain that is linear in the score and
    any discount that increases with the position. Where the candidates of the recommender hold too few items
    of the group, more are searched for. A list has fewer than `min` only if no others may be recommended. It
    must be the last step, since later ones would change the numbers.

    Example:
        >>> model.recommend(history, k=10, rerank=[MMR(diversity=0.2), SlotPolicy(min=1, max=3)])
    """

    method: ClassVar[str] = "slot_policy"
    last_only: ClassVar[bool] = True

    min: int = 1
    """Items of the group in a list at least."""
    max: int | None = None
    """Items of the group in a list at most; None for no limit."""
    items: Any = "new"
    """The group: `"new"` for items without a training event, an `ItemSet`, or item ids."""

    def required(self, k: TopK, features: ItemFeatures) -> list[Requirement]:
        """Return the group and the number of its items that a list needs."""
        self._check(k)
        return [(np.flatnonzero(self._members(features)), self.min)] if self.min else []

    def _rerank(self, items: Int32, scores: Float32, k: TopK, features: ItemFeatures) -> Ranked:
        self._check(k)
        items, scores = best(items, scores, max(items.shape[1], 1))
        there = items >= 0
        member = self._members(features)[items] & there
        others = there & ~member
        rank = np.cumsum(member, axis=1)  # of a member among its own, from 1
        permitted = others | (member & (rank <= (k if self.max is None else min(self.max, k))))
        chosen = permitted & (np.cumsum(permitted, axis=1) <= k)
        count = np.maximum((chosen & member).sum(axis=1), np.minimum(min(self.min, k), rank[:, -1]))[:, None]
        kept = (member & (rank <= count)) | (others & (np.cumsum(others, axis=1) <= k - count))
        return taken(items, scores, first_positions(kept, k))

    def _check(self, k: TopK) -> None:
        most = k if self.max is None else self.max
        if not 0 <= self.min <= min(most, k):
            raise ConfigError(
                f"`min` of `slot_policy` has the wrong value: expected 0 to {min(most, k)}, the lower of "
                f"`max` and the length of the list, got {self.min}. Lower it."
            )

    def _members(self, features: ItemFeatures) -> npt.NDArray[np.bool_]:
        """Return which items are in the group, bool (items,)."""
        if isinstance(self.items, str) and self.items == "new":
            new: npt.NDArray[np.bool_] = features.counts == 0
            return new
        cache = vars(self).setdefault("_cache", Cached(_mask))
        return cache(self.items, features.item_ids, None)  # type: ignore[no-any-return]


def _mask(given: Any, item_ids: pl.Series, column: str | None) -> npt.NDArray[np.bool_]:
    """Return which items of a catalogue are in a set or a list of ids, bool (items,)."""
    if isinstance(given, ItemSet) and given.item_ids is None:
        if given.item_count != len(item_ids):
            raise DataError(
                f"`items` of `slot_policy` is of another catalogue: expected a set of {len(item_ids)} items, "
                f"got {given.item_count}. Make it with `Catalogue.where`."
            )
        mask = np.zeros(len(item_ids), bool)
        mask[given.items()] = True
        return mask
    if isinstance(given, ItemSet):
        ids = given.item_ids.gather(given.items())
    elif isinstance(given, str) or not hasattr(given, "__iter__"):
        raise ConfigError(
            f'`items` of `slot_policy` has the wrong form: expected "new", an `ItemSet` or item ids, got '
            f"{shown(given)}. Correct it."
        )
    else:
        ids = id_series(given, what="`items` of `slot_policy`")
    if len(ids) and ids.dtype.is_integer() != item_ids.dtype.is_integer():
        raise DataError(
            f"`items` of `slot_policy` have the wrong type: expected {item_ids.dtype} as in the catalogue, "
            f"got {ids.dtype}. Convert them."
        )
    found: npt.NDArray[np.bool_] = item_ids.is_in(ids.cast(item_ids.dtype).implode()).to_numpy()
    return found
