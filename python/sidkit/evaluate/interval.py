"""Bootstrap intervals of a mean over users.

Metrics of one user take few distinct values: NDCG@50 takes 51. A bootstrap sample of m users therefore has
exactly the distribution of a multinomial draw of the counts of the distinct values, which costs a few dozen
numbers per sample instead of m.
"""

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Column, Count, Seed, checked
from sidkit.errors import ConfigError, DataError

__all__ = [
    "bootstrap_interval",
    "bootstrap_means",
    "bootstrap_p_value",
    "interval_of",
    "p_value_of",
]

Float64 = npt.NDArray[np.float64]

# Samples are drawn in blocks of about this many counts (8 bytes each).
_BLOCK_COUNTS = 4_000_000


@checked
def bootstrap_interval(
    values: Column,
    *,
    users: npt.NDArray[np.integer] | None = None,
    resamples: Count = 1000,
    seed: Seed = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Compute the percentile bootstrap interval of the mean of `values`.

    Users are resampled with replacement, not rows: a user with several rows enters a sample with all of them.

    Efron and Tibshirani, An Introduction to the Bootstrap (1993), §13.3.

    Args:
        values: float (m,), a metric of each row; for a paired comparison, the difference of two models.
        users: int (m,), the user of each row; by default every row is a different user.
        resamples: number of bootstrap samples.
        seed: seed of the resampling; the same values and seed give the same interval.
        level: share of the samples inside the interval.

    Returns:
        The lower and the upper end.

    Raises:
        ConfigError: if `resamples` is less than 2 or `level` is not between 0 and 1.
        DataError: if there is no row, a value is not finite, or `users` has another length.
    """
    if not 0 < level < 1:
        raise ConfigError(f"expected 0 < level < 1, got {level}")
    return interval_of(bootstrap_means(values, users=users, resamples=resamples, seed=seed), level)


@checked
def bootstrap_p_value(
    values: Column,
    *,
    users: npt.NDArray[np.integer] | None = None,
    resamples: Count = 1000,
    seed: Seed = 0,
) -> float:
    """Compute the two-sided bootstrap p-value of the hypothesis that the mean of `values` is 0.

    The p-value is twice the smaller of the shares of sample means at or below 0 and at or above 0. One sample
    is added to the count, so p is never below 2 / (resamples + 1) (Davison and Hinkley, Bootstrap Methods and
    their Application, 1997, §4.2). Up to the randomness of the resampling, p is below 0.05 exactly if the
    95 % interval excludes 0.

    Args:
        values: float (m,), the difference of two models for each row.
        users: int (m,), as in `bootstrap_interval`.
        resamples: number of bootstrap samples.
        seed: seed of the resampling.

    Raises:
        ConfigError: if `resamples` is less than 2.
        DataError: as `bootstrap_interval`.
    """
    return p_value_of(bootstrap_means(values, users=users, resamples=resamples, seed=seed))


def interval_of(means: Float64, level: float = 0.95) -> tuple[float, float]:
    """Compute the percentile interval from the means of bootstrap samples."""
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def p_value_of(means: Float64) -> float:
    """Compute the p-value of `bootstrap_p_value` from the means of bootstrap samples."""
    beyond = min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0))
    return float(min(1.0, 2 * (beyond + 1) / (len(means) + 1)))


def bootstrap_means(
    values: Column,
    *,
    users: npt.NDArray[np.integer] | None = None,
    resamples: Count = 1000,
    seed: Seed = 0,
) -> Float64:
    """Compute the mean of every bootstrap sample, float64 (resamples,).

    The arguments and errors are those of `bootstrap_p_value`.
    """
    column = np.asarray(values, np.float64)
    if column.ndim != 1 or column.size == 0:
        raise DataError(f"`values` of a bootstrap must be (m,) with at least one row, got {column.shape}")
    if not np.isfinite(column).all():
        raise DataError("`values` of a bootstrap must be finite, got NaN or infinity")
    if resamples < 2:
        raise ConfigError(f"expected resamples >= 2, got {resamples}")
    sums, sizes = _by_user(column, users)
    return _sample_means(np.column_stack([sums, sizes]), resamples, np.random.default_rng(seed))


def _by_user(column: Float64, users: npt.NDArray[np.integer] | None) -> tuple[Float64, Float64]:
    """Compute the sum and the number of each user's values."""
    if users is None:
        return column, np.ones_like(column)
    if users.shape != column.shape:
        raise DataError(f"`users` must be {column.shape}, one per row, got {users.shape}")
    _, index = np.unique(users, return_inverse=True)
    sums = np.bincount(index, weights=column).astype(np.float64)
    return sums, np.bincount(index).astype(np.float64)


def _sample_means(table: Float64, resamples: Count, random: np.random.Generator) -> Float64:
    distinct, counts = _distinct(table)
    means = np.empty(resamples)
    step = max(1, _BLOCK_COUNTS // len(distinct))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = random.multinomial(len(table), counts / len(table), size=size)
        sums, sizes = (drawn @ distinct).T
        means[start : start + size] = sums / sizes
    return means


def _distinct(table: Float64) -> tuple[Float64, npt.NDArray[np.int64]]:
    """Return the distinct rows (sum, size) in lexicographic order, and how often each occurs."""
    if np.all(table[:, 1] == 1):  # sorting one column is much faster than sorting rows
        values, counts = np.unique(table[:, 0], return_counts=True)
        return np.column_stack([values, np.ones_like(values)]), counts
    rows, counts = np.unique(table, axis=0, return_counts=True)
    return rows, counts
