"""User slices by history length, target popularity and target age."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit._arguments import checked
from sidkit.errors import ConfigError, DataError

__all__ = ["cold_slices", "user_slices"]

Mask = npt.NDArray[np.bool_]


@checked
def user_slices(
    history_lengths: npt.NDArray[np.integer] | None = None,
    target_popularity: npt.NDArray[np.integer] | None = None,
    *,
    target_age: npt.NDArray[np.number] | None = None,
    history_bounds: Sequence[int] = (0, 1, 5, 10, 20),
    popularity_bounds: Sequence[int] = (0, 1, 6, 21, 101),
    age_bounds: Sequence[int] = (0, 7, 30, 90, 365),
) -> dict[str, Mask]:
    """Build the mask of each slice; the slice `all` is not included, and slices without users are omitted.

    Args:
        history_lengths: int (m,), the number of events of each history.
        target_popularity: int (m,), the training events of each target; 0 is a cold item.
        target_age: (m,), the age of each target in whole or fractional days, such as
            `item_ages(split.train)[split.test.targets]`.
        history_bounds: smallest length of each slice, increasing.
        popularity_bounds: smallest popularity of each slice, increasing.
        age_bounds: least age of each slice in days, increasing.

    Returns:
        bool (m,) for each of `history 1-4`, `history 20+`, `target 0`, `target 1-5`, …, `age 0-6`,
        `age 7-29`, ….

    Raises:
        ConfigError: if bounds are not increasing.
        DataError: if a value is below the lowest bound.
    """
    slices: dict[str, Mask] = {}
    for kind, values, bounds in (
        ("history", history_lengths, history_bounds),
        ("target", target_popularity, popularity_bounds),
        ("age", target_age, age_bounds),
    ):
        if values is not None:
            slices |= _split(kind, np.asarray(values), list(bounds))
    return slices


@checked
def cold_slices(target_popularity: npt.NDArray[np.integer]) -> dict[str, Mask]:
    """Build the masks of the users with warm and with cold targets.

    Args:
        target_popularity: int (m,), the training events of each target; 0 is a cold item.

    Returns:
        bool (m,) for `warm` and `cold`; nothing if all targets are warm, or all are cold.
    """
    cold = np.asarray(target_popularity) == 0
    return {} if cold.all() or not cold.any() else {"warm": ~cold, "cold": cold}


def _split(kind: str, values: npt.NDArray[np.number], bounds: list[int]) -> dict[str, Mask]:
    if not bounds or bounds != sorted(set(bounds)):
        raise ConfigError(f"bounds of {kind} slices must be increasing, got {bounds}")
    if values.size and values.min() < bounds[0]:
        raise DataError(
            f"{kind} slices start at {bounds[0]}, got a user with {int(values.min())}. Lower the first bound"
        )
    slices = {}
    for low, high in zip(bounds, [*bounds[1:], None], strict=True):
        if high is None:
            name, mask = f"{kind} {low}+", values >= low
        else:
            name = f"{kind} {low}" if high == low + 1 else f"{kind} {low}-{high - 1}"
            mask = (values >= low) & (values < high)
        if mask.any():
            slices[name] = mask
    return slices
