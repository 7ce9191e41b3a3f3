"""Maximum number of items per value of an attribute."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sidkit._arguments import TopK, checked
from sidkit.errors import ConfigError
from sidkit.rerank.attributes import ItemAttribute, item_attribute
from sidkit.rerank.base import Float32, Int32, ItemFeatures, Ranked, Reranker, taken
from sidkit.rerank.cached import Cached
from sidkit.rerank.positions import first_positions

__all__ = ["AttributeCap"]


@checked
@dataclass(eq=False, repr=False)
class AttributeCap(Reranker):
    """Maximum number of items per value of an attribute, such as "at most 2 per brand".

    Candidates are taken in order; one of which a value has reached the limit is skipped. An item with several
    values, such as genres, counts for each; an item without a value is never skipped. The rule holds for
    every list: if too few candidates remain, the list is shorter. Raise `candidates` of `recommend` then.

    Example:
        >>> model.recommend(history, k=10, rerank=[AttributeCap(items[["item_id", "brand"]], at_most=2)])
    """

    method: ClassVar[str] = "attribute_cap"

    attribute: Any
    """Table with `item_id` and the attribute, or one value per item in the order of the catalogue."""
    at_most: int = 2
    """Items per value, 1 or more."""
    column: str | None = None
    """Column of the attribute, if the table has several."""

    def _rerank(self, items: Int32, scores: Float32, k: TopK, features: ItemFeatures) -> Ranked:
        if self.at_most < 1:
            raise ConfigError(f"`at_most` must be at least 1, got {self.at_most}")
        attribute = self._matched(features)
        if attribute.single:
            kept = _kept_of_single(attribute.codes(), items, self.at_most)
        else:
            kept = np.zeros(items.shape, bool)
            for row, candidates in enumerate(items):
                kept[row] = _kept(attribute, candidates, self.at_most, k)
        return taken(items, scores, first_positions(kept, k))

    def _matched(self, features: ItemFeatures) -> ItemAttribute:
        cache = vars(self).setdefault("_cache", Cached(item_attribute))
        return cache(self.attribute, features.item_ids, self.column)  # type: ignore[no-any-return]


def _kept_of_single(codes: npt.NDArray[np.int32], items: Int32, at_most: int) -> npt.NDArray[np.bool_]:
    """Number the candidates of each list and value in order, and keep the first `at_most`."""
    values = np.where(items >= 0, codes[items], -1)
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    places = np.broadcast_to(np.arange(items.shape[1]), items.shape)
    starts = np.ones(items.shape, bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    number = places - np.maximum.accumulate(np.where(starts, places, 0), axis=1)
    kept = np.empty(items.shape, bool)
    np.put_along_axis(kept, order, (number < at_most) | (ordered < 0), axis=1)
    return kept & (items >= 0)


def _kept(attribute: ItemAttribute, row: Int32, at_most: int, k: TopK) -> npt.NDArray[np.bool_]:
    counts: Counter[int] = Counter()
    kept = np.zeros(len(row), bool)
    left = k
    for position, item in enumerate(row.tolist()):
        if item < 0:
            continue
        values = attribute.values[item].tolist()
        if all(counts[value] < at_most for value in values):
            counts.update(values)
            kept[position] = True
            left -= 1
            if not left:
                break
    return kept
