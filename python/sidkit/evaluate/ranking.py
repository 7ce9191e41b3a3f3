"""From a matrix of scores to the best items of each row."""

import numpy as np
import numpy.typing as npt

from sidkit.data import Sequences
from sidkit.errors import ConfigError, DataError

__all__ = ["top_k"]

# Rows are ranked in blocks whose 8-byte keys fill about 64 MB.
_BLOCK_ELEMENTS = 8_000_000
_INDEX = np.uint64(0xFFFFFFFF)


def top_k(
    scores: npt.NDArray[np.floating], k: int, exclude: Sequences | None = None
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Give the k best items of every row, best first; of equal scores the lower item index comes first.

    Scores are compared as float32. An item with score -inf is never given, nor one that `exclude` lists.

    Args:
        scores: float (m, n_items), higher is better.
        k: the number of items wanted, at least 1.
        exclude: one row of item indices for every row of `scores`, such as the items a user has seen.

    Returns:
        items int32 (m, k) and scores float32 (m, k); where a row has fewer than k items left, -1 and -inf.

    Raises:
        ConfigError: if k is less than 1.
        DataError: if a score is NaN or +inf, or `exclude` has other rows or an item beyond the catalogue.
    """
    if scores.ndim != 2:
        raise DataError(f"`scores` must be (m, n_items), got {scores.shape}")
    if k < 1:
        raise ConfigError(f"`k` must be at least 1, got {k}")
    rows, n_items = scores.shape
    if exclude is not None:
        _check_exclude(exclude, rows, n_items)
    items = np.full((rows, k), -1, np.int32)
    best = np.full((rows, k), -np.inf, np.float32)
    step = max(1, _BLOCK_ELEMENTS // max(1, n_items))
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        keys = _keys(scores[start:stop], start)
        if exclude is not None:
            _strike(keys, exclude, start, stop)
        _take_best(keys, scores[start:stop], items[start:stop], best[start:stop])
    return items, best


def _keys(scores: npt.NDArray[np.floating], first_row: int) -> npt.NDArray[np.uint64]:
    """Give each item one integer that sorts by score, then by falling index; 0 for what is not given."""
    # `+ 0` turns -0.0 into 0.0, so that the two are a tie.
    with np.errstate(over="ignore"):
        values = scores.astype(np.float32) + np.float32(0)
    wrong = np.isnan(values) | (values == np.inf)
    if wrong.any():
        row, item = np.argwhere(wrong)[0]
        raise DataError(
            f"the score of item {item} in row {first_row + row} is {scores[row, item]}; "
            "scores must be numbers below +inf in float32"
        )
    bits = values.view(np.uint32)
    # Negative floats sort backwards by their bits: flip them all; of the others set the sign bit.
    ordered = np.where(bits >> 31 == 1, ~bits, bits | np.uint32(0x8000_0000)).astype(np.uint64)
    keys = (ordered << np.uint64(32)) | (_INDEX - np.arange(scores.shape[1], dtype=np.uint64))
    keys[values == -np.inf] = 0
    return keys


def _strike(keys: npt.NDArray[np.uint64], exclude: Sequences, start: int, stop: int) -> None:
    offsets = exclude.offsets[start : stop + 1]
    rows = np.repeat(np.arange(stop - start), np.diff(offsets))
    keys[rows, exclude.values[offsets[0] : offsets[-1]]] = 0


def _take_best(
    keys: npt.NDArray[np.uint64],
    scores: npt.NDArray[np.floating],
    items: npt.NDArray[np.int32],
    best: npt.NDArray[np.float32],
) -> None:
    width = min(items.shape[1], keys.shape[1])
    if width == 0:
        return
    if width < keys.shape[1]:
        keys = np.partition(keys, keys.shape[1] - width, axis=1)[:, -width:]
    keys = np.sort(keys, axis=1)[:, ::-1]
    index = (_INDEX - (keys & _INDEX)).astype(np.int64)
    index[keys == 0] = 0
    items[:, :width] = np.where(keys == 0, -1, index)
    best[:, :width] = np.where(keys == 0, -np.inf, np.take_along_axis(scores, index, axis=1))


def _check_exclude(exclude: Sequences, rows: int, n_items: int) -> None:
    if len(exclude) != rows:
        raise DataError(
            f"`exclude` must have one row for each of the {rows} rows of scores, got {len(exclude)}"
        )
    if exclude.values.size and (exclude.values.min() < 0 or exclude.values.max() >= n_items):
        raise DataError(
            f"`exclude` lists items {int(exclude.values.min())}..{int(exclude.values.max())}, "
            f"the catalogue has 0..{n_items - 1}"
        )
