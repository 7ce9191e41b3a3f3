"""Bootstrap over users for all rows of a table at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sidkit.evaluate import Comparison
from sidkit.evaluate.interval import interval_of, p_value_of
from sidkit.report.tables.stored import Entry

__all__ = ["RESAMPLES", "Resampled", "sample_means"]

Float64 = npt.NDArray[np.float64]

#: Bootstrap samples of a comparison, and of an interval; the latter are the first of the former.
RESAMPLES = 2000
_OF_INTERVALS = 1000
# Differences below this are rounding errors of a sum over users.
_DECIMALS = 12
# Samples are drawn in blocks of about this many counts (8 bytes each).
_BLOCK_COUNTS = 2_000_000


@dataclass(frozen=True, eq=False)
class Resampled:
    """Means of the entries of a table in bootstrap samples; a sample has the same users for every entry.

    Attributes:
        means: float64 (samples,) of every entry and metric; entries without stored ranks are missing.
    """

    means: Mapping[tuple[Entry, str], Float64]

    @classmethod
    def of(cls, entries: Iterable[Entry], metrics: Iterable[str]) -> "Resampled":
        """Draw the samples.

        Raises:
            DataError: if two entries have different users or targets.
        """
        columns: dict[tuple[Entry, str], Float64] = {}
        for entry in entries:
            for metric in metrics:
                values = entry.per_user(metric)
                if values is not None:
                    next(iter(columns), (entry, ""))[0].check_same_examples(entry)
                    columns[entry, metric] = values
        if not columns:
            return cls({})
        means = sample_means(np.column_stack(list(columns.values())), RESAMPLES)
        return cls(dict(zip(columns, means.T, strict=True)))

    def interval(self, entry: Entry, metric: str) -> tuple[float, float] | None:
        """Compute the 95 % interval of the mean of a metric; None without ranks.

        The interval of a single seed is the stored one.
        """
        if len(entry.runs) == 1:
            return entry.interval(metric)
        means = self.means.get((entry, metric))
        return None if means is None else interval_of(means[:_OF_INTERVALS])

    def comparison(self, entry: Entry, baseline: Entry, metric: str) -> Comparison | None:
        """Compare two entries with paired differences; None if one has no ranks."""
        ours, theirs = self.means.get((entry, metric)), self.means.get((baseline, metric))
        gain = entry.gain_over(baseline, metric)
        if ours is None or theirs is None or gain is None:
            return None
        means = np.round(ours - theirs, _DECIMALS)
        found = interval_of(means), p_value_of(means)
        return Comparison(entry.ranking, baseline.ranking, metric, float(gain.mean()), *found)


def sample_means(columns: Float64, resamples: int, seed: int = 0) -> Float64:
    """Compute the mean of every column in bootstrap samples of the rows.

    Rows that are zero in all columns, users without a hit, are drawn as one group: only their number matters.

    Args:
        columns: float64 (m, c), the metrics of each user.
        resamples: number of samples.
        seed: seed of the sampling.

    Returns:
        float64 (resamples, c).
    """
    users, width = columns.shape
    rest = columns[columns.any(axis=1)]
    means = np.zeros((resamples, width))
    if not len(rest):
        return means
    random = np.random.default_rng(seed)
    sizes = random.binomial(users, len(rest) / users, resamples)
    step = max(1, _BLOCK_COUNTS // len(rest))
    for start in range(0, resamples, step):
        drawn = sizes[start : start + step]
        rows = np.repeat(np.arange(len(drawn)), drawn)
        places = rows * len(rest) + random.integers(0, len(rest), len(rows))
        counts = np.bincount(places, minlength=len(drawn) * len(rest)).reshape(len(drawn), len(rest))
        means[start : start + step] = counts @ rest / users
    return means
