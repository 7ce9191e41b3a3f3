"""Events of one moment, put in a fresh random order at every epoch.

Events with equal times are in no true order. A log keeps them in some order all the same, often that of the
items' ids, and a model that is trained on it learns this order, which tells nothing of what comes next. Where
every epoch draws another one, there is nothing to learn.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.data import Sequences
from sidkit.errors import DataError

__all__ = ["TiedEvents"]

_STREAM = 1  # what is drawn here must not be what the order of batches is drawn from


class TiedEvents:
    """The events of histories that share their time with a neighbour in their row.

    What is drawn depends on the seed and the epoch alone, so that an interrupted training can go on within an
    epoch. Time and memory are those of the tied events; without any, an epoch costs nothing.

    Args:
        histories: rows of items, oldest first.
        times: of their values, in any unit, numbers (nnz,).
        seed: of the draws.

    Raises:
        DataError: if there is not one time for each value, or times fall within a row.
    """

    def __init__(self, histories: Sequences, times: npt.NDArray[Any], *, seed: int) -> None:
        if times.shape != histories.values.shape:
            raise DataError(
                f"there must be one time for each of the {len(histories.values)} events of the histories; "
                f"got an array of shape {times.shape}"
            )
        self._values = histories.values
        self._seed = seed
        begins = np.zeros(len(times) + 1, dtype=bool)  # a row begins here; one more for the end
        begins[histories.offsets] = True
        falls = np.flatnonzero((times[1:] < times[:-1]) & ~begins[1:-1])
        if len(falls):
            raise DataError(
                f"the times of a history must not fall, oldest first; event {falls[0] + 1} is at "
                f"{times[falls[0] + 1]}, after one at {times[falls[0]]}"
            )
        tied = ~begins  # with the event before
        tied[1:-1] &= times[1:] == times[:-1]
        self._places = np.flatnonzero(tied[:-1] | tied[1:])
        self._group = np.cumsum(~tied[:-1])[self._places]

    def __len__(self) -> int:
        """How many events are tied with another."""
        return len(self._places)

    def shuffled(self, epoch: int) -> npt.NDArray[np.int32]:
        """The values of the histories with tied events in the order of this epoch, int32 (nnz,)."""
        if not len(self):
            return self._values
        keys = np.random.default_rng((self._seed, epoch, _STREAM)).random(len(self._places))
        values = self._values.copy()
        values[self._places] = values[self._places[np.lexsort((keys, self._group))]]
        return values
