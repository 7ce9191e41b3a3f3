"""Groups of users whose accuracy is told apart: by how much is known of them, and by what they took next."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit.errors import ConfigError, DataError

__all__ = ["user_slices"]

Mask = npt.NDArray[np.bool_]


def user_slices(
    history_lengths: npt.NDArray[np.integer] | None = None,
    target_popularity: npt.NDArray[np.integer] | None = None,
    *,
    history_bounds: Sequence[int] = (0, 1, 5, 10, 20),
    popularity_bounds: Sequence[int] = (0, 1, 6, 21, 101),
) -> dict[str, Mask]:
    """Name the rows of each slice; `all` is not among them, and a slice without a user is left out.

    Args:
        history_lengths: int (m,), the number of events each history holds.
        target_popularity: int (m,), how often each target occurs in training; 0 is a cold item.
        history_bounds: the least length of each slice, rising.
        popularity_bounds: the least popularity of each slice, rising.

    Returns:
        bool (m,) for each of `history 1-4`, `history 20+`, `target 0`, `target 1-5`, ….

    Raises:
        ConfigError: if bounds do not rise.
        DataError: if a value is below the lowest bound, so that a user would be in no slice.
    """
    slices: dict[str, Mask] = {}
    for kind, values, bounds in (
        ("history", history_lengths, history_bounds),
        ("target", target_popularity, popularity_bounds),
    ):
        if values is not None:
            slices |= _split(kind, np.asarray(values), list(bounds))
    return slices


def _split(kind: str, values: npt.NDArray[np.integer], bounds: list[int]) -> dict[str, Mask]:
    if not bounds or bounds != sorted(set(bounds)):
        raise ConfigError(f"the bounds of {kind} slices must rise, got {bounds}")
    if values.size and values.min() < bounds[0]:
        raise DataError(f"a {kind} slice starts at {bounds[0]} at least, got a user with {int(values.min())}")
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
