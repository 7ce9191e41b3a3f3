"""Minimum shares of groups of items."""

import math
from collections.abc import Mapping
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

__all__ = ["MinimumShare"]


@checked
@dataclass(eq=False, repr=False)
class MinimumShare(Reranker):
    """Minimum shares of groups in every list, such as "a fifth of own brands".

    A share s of k positions is ceil(s * k) items. The best candidates of each group are taken first, one
    group after the other in the given order, then the best of the rest; the list keeps the order of the
    candidates. A group with fewer candidates gets all of them. It must be the last step, since later ones
    would change the shares.

    Example:
        >>> model.recommend(history, k=10, rerank=[MinimumShare(items[["item_id", "own"]], {True: 0.2})])
    """

    method: ClassVar[str] = "minimum_share"
    last_only: ClassVar[bool] = True

    attribute: Any
    """Table with `item_id` and the attribute, or one value per item in the order of the catalogue."""
    shares: Mapping[Any, float]
    """Share of each value, 0 to 1; together at most 1."""
    column: str | None = None
    """Column of the attribute, if the table has several."""

    def places(self, k: TopK) -> dict[Any, int]:
        """Return the number of positions of each value in a list of k.

        Raises:
            ConfigError: if a share is not within 0 and 1, or the positions are more than k.
        """
        if not all(0 <= share <= 1 for share in self.shares.values()):
            raise ConfigError(f"`shares` must be within 0 and 1, got {dict(self.shares)}")
        # Room for products such as 0.07 * 100, which is above 7 in floating point.
        places = {value: math.ceil(share * k - 1e-9) for value, share in self.shares.items()}
        if sum(places.values()) > k:
            raise ConfigError(
                f"the minimum shares need {sum(places.values())} positions: expected at most {k}, the length "
                "of the list. Lower the shares or raise `k`."
            )
        return places

    def _rerank(self, items: Int32, scores: Float32, k: TopK, features: ItemFeatures) -> Ranked:
        attribute = self._matched(features)
        there = items >= 0
        selected = np.zeros(items.shape, bool)
        for value, places in self.places(k).items():
            members = there & attribute.has(value)[items]
            missing = places - (members & selected).sum(axis=1)
            selected |= _first(members & ~selected, missing)
        selected |= _first(there & ~selected, k - selected.sum(axis=1))
        return taken(items, scores, first_positions(selected, k))

    def _matched(self, features: ItemFeatures) -> ItemAttribute:
        cache = vars(self).setdefault("_cache", Cached(item_attribute))
        return cache(self.attribute, features.item_ids, self.column)  # type: ignore[no-any-return]


def _first(mask: npt.NDArray[np.bool_], counts: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
    """Keep the first `counts` of each row of a mask."""
    kept: npt.NDArray[np.bool_] = mask & (np.cumsum(mask, axis=1) <= counts[:, None])
    return kept
