"""Types and checks of recommendation lists."""

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Bounds, Shape
from sidkit.errors import DataError

__all__ = ["ItemCounts", "ItemLists", "ItemMask", "check_catalogue"]

#: Item rows (lists, k), padded with -1.
ItemLists = Annotated[npt.NDArray[np.integer], Shape("lists", "k"), Bounds(ge=-1)]
#: Number of every item, 0 or higher, (items,).
ItemCounts = Annotated[npt.NDArray[np.integer], Shape("items"), Bounds(ge=0)]
#: True for the items of a group, (items,).
ItemMask = Annotated[npt.NDArray[np.bool_], Shape("items")]


def check_catalogue(items: npt.NDArray[np.integer[Any]], n_items: int) -> None:
    """Raise DataError if a list holds an item that is not below `n_items`."""
    largest = int(items.max()) if items.size else -1
    if largest >= n_items:
        raise DataError(
            f"a list holds an item outside the catalogue: expected rows below {n_items}, got {largest}. "
            "Pass the facts of the whole catalogue."
        )
