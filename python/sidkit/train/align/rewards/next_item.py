"""Reward of the item that came next."""

import numpy as np

from sidkit.train.align.prompts import Prompts
from sidkit.train.align.rewards.base import Float64, Int64, Reward

__all__ = ["NextItem"]


class NextItem(Reward):
    """1 for the item that came next in the log, 0 for every other."""

    def of_rows(self, prompts: Prompts, rows: Int64) -> Float64:
        """Return 1 or 0 for each item, float64 (m, k)."""
        hit: Float64 = (rows == prompts.targets[:, None]).astype(np.float64)
        return hit
