"""Shuffling of events with tied timestamps at every epoch.

The order of such events is arbitrary. Logs often keep them in the order of the item ids, and a model trained
on it learns this order, which does not help to predict what comes next. With a new order in every epoch,
there is nothing to learn.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Seed, Size, checked
from sidkit.data import Sequences
from sidkit.errors import DataError

__all__ = ["TiedEvents"]

_STREAM = 1  # separates these draws from those of the order of batches


@checked
class TiedEvents:
    """Events of histories that share their timestamp with a neighbour in their row.

    The order depends on seed and epoch only, so an interrupted training can continue within an epoch. Time
    and memory are proportional to the tied events.

    Args:
        histories: rows of items, oldest first.
        times: time of every event, in any unit, numbers (nnz,).
        seed: seed of the orders.

    Raises:
        DataError: if there is not one time per event, or times decrease within a row.
    """

    def __init__(self, histories: Sequences, times: npt.NDArray[Any], *, seed: Seed) -> None:
        if times.shape != histories.values.shape:
            raise DataError(
                f"expected one time for each of the {len(histories.values)} events of the histories, "
                f"got an array of shape {times.shape}"
            )
        self._values = histories.values
        self._seed = seed
        begins = np.zeros(len(times) + 1, dtype=bool)  # a row begins here; one more for the end
        begins[histories.offsets] = True
        falls = np.flatnonzero((times[1:] < times[:-1]) & ~begins[1:-1])
        if len(falls):
            raise DataError(
                f"the times of a history must not decrease: event {falls[0] + 1} is at "
                f"{times[falls[0] + 1]}, after one at {times[falls[0]]}"
            )
        tied = ~begins  # with the event before
        tied[1:-1] &= times[1:] == times[:-1]
        self._places = np.flatnonzero(tied[:-1] | tied[1:])
        self._group = np.cumsum(~tied[:-1])[self._places]

    def __len__(self) -> int:
        """Count the events that are tied with another."""
        return len(self._places)

    def shuffled(self, epoch: Size) -> npt.NDArray[np.int32]:
        """Return the values of the histories with tied events in the order of an epoch, int32 (nnz,)."""
        if not len(self):
            return self._values
        keys = np.random.default_rng((self._seed, epoch, _STREAM)).random(len(self._places))
        values = self._values.copy()
        values[self._places] = values[self._places[np.lexsort((keys, self._group))]]
        return values
