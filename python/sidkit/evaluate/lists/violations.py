"""Violations of rules in lists."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Bounds, checked
from sidkit.data import Sequences
from sidkit.evaluate.lists.arguments import ItemLists, ItemMask, check_catalogue

__all__ = ["cap_violations", "share_violations"]


@checked
def cap_violations(
    items: ItemLists, attribute: Sequences, at_most: Annotated[int, Bounds(ge=0)]
) -> npt.NDArray[np.float64]:
    """Count the items of each list beyond a maximum number per value of an attribute.

        violations = sum over values v of max(0, n(v) - at_most)

    with n(v), the items of the list that have the value.

    Args:
        items: item rows (m, k), padded with -1.
        attribute: for every item, its values, 0 or higher; see `sidkit.rerank.item_attribute`.
        at_most: permitted items per value.

    Returns:
        float64 (m,); 0 for a list that keeps the rule.
    """
    check_catalogue(items, len(attribute))
    there = items >= 0
    each = attribute.take(items[there].astype(np.int64))
    row = np.repeat(np.broadcast_to(np.arange(len(items))[:, None], items.shape)[there], each.lengths)
    values = int(attribute.values.max(initial=-1)) + 1
    pairs, counts = np.unique(row * max(values, 1) + each.values, return_counts=True)
    beyond = np.maximum(counts - at_most, 0).astype(np.float64)
    found: npt.NDArray[np.float64] = np.zeros(len(items))
    np.add.at(found, pairs // max(values, 1), beyond)
    return found


@checked
def share_violations(
    items: ItemLists, mask: ItemMask, least: Annotated[int, Bounds(ge=0)]
) -> npt.NDArray[np.float64]:
    """Count the items of a group that each list lacks.

        violations = max(0, least - n)

    with n, the items of the list that belong to the group.

    Args:
        items: item rows (m, k), padded with -1.
        mask: bool (items,), True for the items of the group.
        least: required number of items.

    Returns:
        float64 (m,); 0 for a list that keeps the rule.
    """
    check_catalogue(items, len(mask))
    members = ((items >= 0) & mask[items]).sum(axis=1)
    found: npt.NDArray[np.float64] = np.maximum(least - members, 0).astype(np.float64)
    return found
