"""Numbers of items that never change, from which all other structures are indexed."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["ItemNumbers"]

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")


class ItemNumbers:
    """Number of every item that was ever in the catalogue, 0, 1, … in the order in which they came.

    Numbers are added by one thread, and read by any: whether an item is in a snapshot is decided by the
    snapshot.

    Args:
        item_ids: ids of the first items, distinct integers or strings.
    """

    def __init__(self, item_ids: pl.Series) -> None:
        self.dtype = item_ids.dtype
        self.integers = item_ids.dtype.is_integer()
        self._ids: list[Any] = item_ids.to_list()
        self._numbers: dict[Any, int] = {item: number for number, item in enumerate(self._ids)}

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, item_id: int | str) -> int:
        """Return the number of an item, -1 if it never existed."""
        return self._numbers.get(item_id, self._numbers.get(self.typed(item_id), -1))

    def typed(self, item_id: int | str) -> int | str:
        """Return an id in the type of the catalogue, where it can have it: the text "12" becomes 12."""
        if self.integers:
            if isinstance(item_id, str) and _INTEGER.fullmatch(item_id):
                return int(item_id)
            return item_id
        return str(item_id)

    def id(self, number: int) -> Any:
        """Return the id of a number."""
        return self._ids[number]

    def ids(self, numbers: npt.NDArray[np.integer[Any]]) -> list[Any]:
        """Return the ids of numbers."""
        ids = self._ids
        return [ids[number] for number in numbers.tolist()]

    def add(self, item_ids: Iterable[Any]) -> npt.NDArray[np.int64]:
        """Return the numbers of items, int64 (n,); those that never existed get the next ones."""
        found = []
        for item in item_ids:
            number = self._numbers.get(item)
            if number is None:
                number = len(self._ids)
                self._ids.append(item)
                self._numbers[item] = number
            found.append(number)
        return np.array(found, np.int64)
