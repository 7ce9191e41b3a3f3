"""Cells of tables of stored runs."""

import statistics
from collections.abc import Iterable, Sequence

from sidkit.report.numbers import number
from sidkit.report.tables.resampling import Resampled
from sidkit.report.tables.stored import Entry

__all__ = ["accuracy_cell", "cost_cell", "gain_cell", "p_cell", "seeds_cell", "training_cell"]


def seeds_cell(entry: Entry) -> str:
    """Format the seeds: `0, 1, 2`."""
    return ", ".join(map(str, entry.seeds))


def accuracy_cell(entry: Entry, metric: str, sample: Resampled | None = None) -> str:
    """Format the mean of a metric over seeds, its standard deviation and its 95 % interval over users.

    For example `0.0384 ± 0.0005 (0.0371–0.0397)`. The interval is that of `sample` if given.
    """
    values = entry.values(metric)
    if not values:
        return "–"
    spread = f" ± {number(statistics.stdev(values))}" if len(values) > 1 else ""
    ends = entry.interval(metric) if sample is None else sample.interval(entry, metric)
    interval = f" ({number(ends[0])}–{number(ends[1])})" if ends else ""
    return number(statistics.fmean(values)) + spread + interval


def gain_cell(difference: float, ci95: Sequence[float]) -> str:
    """Format a difference and its interval: `+0.0012 (−0.0003 to +0.0027)`."""
    low, high = map(_signed, ci95)
    return f"{_signed(difference)} ({low} to {high})"


def cost_cell(seconds: Iterable[float | None]) -> str:
    """Format the mean of the known seconds: `1,234`."""
    known = [value for value in seconds if value is not None]
    return f"{statistics.fmean(known):,.0f}" if known else "–"


def training_cell(entry: Entry) -> str:
    """Format the mean wall seconds of the training, with the GPU if there was one: `115 (NVIDIA H200)`."""
    gpus = ", ".join(dict.fromkeys(run.gpu for run in entry.runs if run.gpu))
    return cost_cell(run.seconds for run in entry.runs) + (f" ({gpus})" if gpus else "")


def p_cell(p: float, resamples: int) -> str:
    """Format a bootstrap p-value, or the smallest one that the number of samples allows: `≤ 0.001`."""
    least = 2 / (resamples + 1)
    return f"≤ {least:.3f}" if p <= least else f"{p:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")
