"""What every ranking and search checks of its arguments, before it answers another question."""

import numpy as np
from numpy.typing import NDArray

from sidkit.data import Sequences
from sidkit.data.sequences import check_sequences
from sidkit.errors import ConfigError, DataError

__all__ = ["check_arguments"]


def check_arguments(
    histories: Sequences,
    known: int,
    *,
    k: int,
    batch_size: int,
    exclude: Sequences | None,
    users: NDArray[np.int32] | None = None,
) -> None:
    """Check what is given beside a model.

    Args:
        histories: m rows of item indices.
        known: how many items can be read; their indices are below it.
        k: how many items are wanted.
        batch_size: histories at a time.
        exclude: one row a history.
        users: one index a history.

    Raises:
        ConfigError: if `k` or `batch_size` is below 1.
        DataError: if histories are no `Sequences`, one names an unknown item, or `exclude` or `users` are not
            one for each history.
    """
    if k < 1 or batch_size < 1:
        raise ConfigError(f"`k` and `batch_size` must be at least 1, got {k} and {batch_size}")
    check_sequences("histories", histories)
    if len(histories.values) and int(histories.values.max()) >= known:
        place = int(np.argmax(histories.values >= known))
        row = int(np.searchsorted(histories.offsets, place, side="right")) - 1
        raise DataError(
            f"history {row} holds item {histories.values[place]}, but the model knows items 0 to "
            f"{known - 1}; leave out what it was not trained on"
        )
    for name, given in (("exclude", exclude), ("users", users)):
        if given is not None and len(given) != len(histories):
            raise DataError(
                f"`{name}` must have one row for each of the {len(histories)} histories, got {len(given)}"
            )
