"""Reward of an attribute of the items, such as their margin or freshness."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.errors import DataError
from sidkit.train.align.prompts import Prompts
from sidkit.train.align.rewards.base import Float64, Int64, Reward, check_items

__all__ = ["ItemAttribute"]


class ItemAttribute(Reward):
    """A number of each item, whatever the history.

    Args:
        values: numbers in the order of the item ids, (items,): a polars or pandas column, a list or an array,
            such as `data.items["release_year"]`.

    Raises:
        DataError: if they are not finite numbers.
    """

    def __init__(self, values: npt.ArrayLike | Any) -> None:
        try:
            numbers = np.asarray(values, np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"the attribute of a reward is invalid: expected numbers ({error}), got "
                f"{type(values).__name__}. Convert it."
            ) from error
        if numbers.ndim != 1 or not np.isfinite(numbers).all():
            raise DataError(
                "the attribute of a reward is invalid: expected one finite number per item, got shape "
                f"{numbers.shape} with {int((~np.isfinite(numbers)).sum())} that are not finite. Fill them."
            )
        self.values = numbers

    def of_rows(self, prompts: Prompts, rows: Int64) -> Float64:
        """Return the number of each item, float64 (m, k)."""
        check_items(type(self).__name__, len(self.values), prompts)
        found: Float64 = self.values[rows]
        return found
