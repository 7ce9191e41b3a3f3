"""The best items of each row of a matrix of scores, and the most similar items."""

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Count, checked
from sidkit.data import Sequences
from sidkit.errors import ConfigError, DataError

__all__ = ["Ranked", "concatenated", "most_similar", "top_k"]

#: Items int32 (m, k), best first, padded with -1, and their scores float32 (m, k), padded with -inf.
Ranked = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]

Float32 = npt.NDArray[np.float32]

# Rows are ranked in blocks of 32 MB.
_BLOCK_ELEMENTS = 8_000_000


@checked
def top_k(
    scores: npt.NDArray[np.floating],
    k: Count,
    exclude: Sequences | None = None,
    allow: Sequences | None = None,
) -> Ranked:
    """Return the k best items of every row, best first; of equal scores the lower item row comes first.

    Scores are compared as float32. Items with score -inf are never returned.

    Args:
        scores: float (m, n_items), higher is better.
        k: number of items, at least 1.
        exclude: items that must not be returned, such as those a user has seen; one row for every row of
            `scores`.
        allow: items that may be returned, nothing else; one row for every row of `scores`, or one for all.

    Returns:
        items int32 (m, k) and scores float32 (m, k); where a row has fewer than k items left, -1 and -inf.

    Raises:
        ConfigError: if k is less than 1.
        DataError: if a score is NaN or +inf, or a filter has other rows or an item beyond the catalogue.
    """
    if scores.ndim != 2:
        raise DataError(f"`scores` must be (m, n_items), got {scores.shape}")
    if k < 1:
        raise ConfigError(f"`k` must be at least 1, got {k}")
    rows, n_items = scores.shape
    if exclude is not None:
        _check_filter("exclude", exclude, rows, n_items)
    if allow is not None:
        _check_filter("allow", allow, len(allow) if len(allow) == 1 else rows, n_items)
    items = np.full((rows, k), -1, np.int32)
    best = np.full((rows, k), -np.inf, np.float32)
    # The best of a few items are found among their columns alone.
    columns = np.unique(allow.values) if allow is not None and len(allow) == 1 else None
    step = max(1, _BLOCK_ELEMENTS // max(1, n_items))
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        block = _checked(scores[start:stop], start)
        if exclude is not None:
            _remove(block, exclude, start, stop)
        if columns is not None:
            block = block[:, columns]
        elif allow is not None:
            _keep_only(block, allow, start, stop)
        _take_best(block, items[start:stop], best[start:stop])
    if columns is not None:
        items[items >= 0] = columns[items[items >= 0]]
    return items, best


def most_similar(
    vectors: Float32, rows: npt.NDArray[np.int64], k: Count, allow: Sequences | None = None
) -> Ranked:
    """Return the k items with the highest cosines to each of some items, best first.

    Args:
        vectors: float32 (n_items, d).
        rows: item rows, int64 (m,); an item is not similar to itself.
        k: number of items, at least 1.
        allow: one row of the items that may be returned; None for all.

    Returns:
        items int32 (m, k) and cosines float32 (m, k), as `top_k`.

    Raises:
        ConfigError: if k is less than 1.
    """
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    step = max(1, _BLOCK_ELEMENTS // len(units))
    parts = []
    for start in range(0, max(1, len(rows)), step):
        some = rows[start : start + step]
        own = Sequences.from_lengths(some, np.ones(len(some), np.int64))
        parts.append(top_k(units[some] @ units.T, k, own, allow))
    return concatenated(parts, k)


def concatenated(parts: list[Ranked], k: Count, rows: int = 0) -> Ranked:
    """Concatenate rankings of k items after `rows` rows of padding."""
    items = [np.full((rows, k), -1, np.int32), *(items for items, _ in parts)]
    scores = [np.full((rows, k), -np.inf, np.float32), *(scores for _, scores in parts)]
    return np.concatenate(items), np.concatenate(scores)


def _checked(scores: npt.NDArray[np.floating], first_row: int) -> Float32:
    """Copy a block of scores as float32."""
    with np.errstate(over="ignore"):
        values = scores.astype(np.float32)
    # The comparison is false for NaN too.
    if not (values < np.inf).all():
        row, item = np.argwhere(~(values < np.inf))[0]
        raise DataError(
            f"the score of item {item} in row {first_row + row} is {scores[row, item]}; "
            "scores must be numbers below +inf in float32"
        )
    return values


def _remove(block: Float32, exclude: Sequences, start: int, stop: int) -> None:
    offsets = exclude.offsets[start : stop + 1]
    rows = np.repeat(np.arange(stop - start), np.diff(offsets))
    block[rows, exclude.values[offsets[0] : offsets[-1]]] = -np.inf


def _keep_only(block: Float32, allow: Sequences, start: int, stop: int) -> None:
    others = np.ones(block.shape, bool)
    offsets = allow.offsets[start : stop + 1]
    rows = np.repeat(np.arange(stop - start), np.diff(offsets))
    others[rows, allow.values[offsets[0] : offsets[-1]]] = False
    block[others] = -np.inf


def _take_best(block: Float32, items: npt.NDArray[np.int32], best: Float32) -> None:
    rows, n_items = block.shape
    k = items.shape[1]
    chosen = block > -np.inf
    if k < n_items:
        chosen &= block >= _bound(block, k)[:, None]
    row, item = np.divmod(np.flatnonzero(chosen), max(1, n_items))
    score = block[row, item]
    # They come by row and item, and the sort is stable: of equal scores the lower index stays first.
    order = np.lexsort((-score, row))
    first = np.searchsorted(row, np.arange(rows))
    place = np.arange(len(row)) - first[row]
    kept = place < k
    row, place, order = row[kept], place[kept], order[kept]
    items[row, place] = item[order]
    best[row, place] = score[order]


def _bound(block: Float32, k: Count) -> Float32:
    """Return a score for each row that at least k of its items reach, and few others do.

    The items are distributed over groups; each of the k groups with the highest maxima has an item that high.
    """
    rows, n_items = block.shape
    groups = min(4 * k, n_items)
    size = n_items // groups
    maxima = block[:, : size * groups].reshape(rows, size, groups).max(axis=1)
    bound: Float32 = np.partition(maxima, groups - k, axis=1)[:, groups - k]
    return bound


def _check_filter(name: str, given: Sequences, rows: int, n_items: Count) -> None:
    if len(given) != rows:
        raise DataError(f"`{name}` must have one row for each of the {rows} rows of scores, got {len(given)}")
    if given.values.size and (given.values.min() < 0 or given.values.max() >= n_items):
        raise DataError(
            f"`{name}` holds items outside the catalogue: expected 0..{n_items - 1}, got "
            f"{int(given.values.min())}..{int(given.values.max())}"
        )
