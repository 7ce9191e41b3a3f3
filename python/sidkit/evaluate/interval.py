"""Bootstrap intervals of a mean over users.

Metrics of one user take few distinct values: NDCG@50 has 51. A bootstrap sample of m users is then, in
distribution exactly, a multinomial draw of how often each distinct value comes up, which costs a few dozen
numbers a sample instead of m.
"""

import numpy as np
import numpy.typing as npt

from sidkit.errors import ConfigError, DataError

__all__ = ["bootstrap_interval"]

Float64 = npt.NDArray[np.float64]

# Samples are drawn in blocks of about this many counts (8 bytes each).
_BLOCK_COUNTS = 4_000_000


def bootstrap_interval(
    values: npt.ArrayLike,
    *,
    users: npt.NDArray[np.integer] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Give the percentile bootstrap interval of the mean of `values`.

    Users are drawn with replacement, not rows: a user with several rows enters a sample with all of them.

    Efron and Tibshirani, An Introduction to the Bootstrap (1993), §13.3.

    Args:
        values: float (m,), a metric of each row; for a paired comparison, the difference of two models.
        users: int (m,), the user of each row; without it every row is a user of its own.
        resamples: the number of bootstrap samples.
        seed: of the draws; the same values and seed give the same interval.
        level: the share of the samples inside the interval.

    Returns:
        The lower and the upper end.

    Raises:
        ConfigError: if `resamples` is less than 2 or `level` is not between 0 and 1.
        DataError: if there is no row, a value is not finite, or `users` has another length.
    """
    column = np.asarray(values, np.float64)
    if column.ndim != 1 or column.size == 0:
        raise DataError(f"`values` of a bootstrap must be (m,) with at least one row, got {column.shape}")
    if not np.isfinite(column).all():
        raise DataError("`values` of a bootstrap must be finite, got NaN or infinity")
    if resamples < 2 or not 0 < level < 1:
        raise ConfigError(f"expected resamples >= 2 and 0 < level < 1, got {resamples} and {level}")
    sums, sizes = _by_user(column, users)
    means = _sample_means(np.column_stack([sums, sizes]), resamples, np.random.default_rng(seed))
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def _by_user(column: Float64, users: npt.NDArray[np.integer] | None) -> tuple[Float64, Float64]:
    """Give the sum of each user's values, and how many these are."""
    if users is None:
        return column, np.ones_like(column)
    if users.shape != column.shape:
        raise DataError(f"`users` must be {column.shape}, one a row, got {users.shape}")
    _, index = np.unique(users, return_inverse=True)
    sums = np.bincount(index, weights=column).astype(np.float64)
    return sums, np.bincount(index).astype(np.float64)


def _sample_means(table: Float64, resamples: int, random: np.random.Generator) -> Float64:
    distinct, counts = np.unique(table, axis=0, return_counts=True)
    means = np.empty(resamples)
    step = max(1, _BLOCK_COUNTS // len(distinct))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = random.multinomial(len(table), counts / len(table), size=size)
        sums, sizes = (drawn @ distinct).T
        means[start : start + size] = sums / sizes
    return means
