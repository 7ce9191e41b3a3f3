"""Paired comparisons with the strongest baseline of a table, and the sentences that summarize them."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sidkit.evaluate import Comparison
from sidkit.report.names import metric_name
from sidkit.report.numbers import number
from sidkit.report.tables.cells import gain_cell, p_cell, seeds_cell
from sidkit.report.tables.independent import IndependentResult
from sidkit.report.tables.markdown import markdown_table
from sidkit.report.tables.resampling import RESAMPLES, Resampled
from sidkit.report.tables.stored import Entry

__all__ = [
    "BASELINES",
    "COMPARED",
    "Gains",
    "differences_table",
    "findings",
    "gains_over",
    "is_baseline",
    "strongest_baseline",
]

#: Recommenders without Semantic IDs that a generative model must exceed.
BASELINES = ("popularity", "item_knn", "transition_graph", "sasrec", "gru4rec", "bsarec")
COMPARED = ("recall@10", "ndcg@10")
#: The metric that determines the strongest baseline.
DECISIVE = "ndcg@10"


@dataclass(frozen=True, eq=False)
class Gains:
    """Paired differences of one entry from the strongest baseline.

    Attributes:
        entry: the entry compared.
        comparisons: one for each of `COMPARED`, in this order.
    """

    entry: Entry
    comparisons: Sequence[Comparison]


def is_baseline(entry: Entry) -> bool:
    """Return True if an entry is one of `BASELINES`, in any variant."""
    return entry.method in BASELINES


def strongest_baseline(entries: Iterable[Entry]) -> Entry | None:
    """Return the baseline with the highest mean NDCG@10 over seeds; None without a baseline."""
    known = [entry for entry in entries if is_baseline(entry) and entry.values(DECISIVE)]
    return max(known, key=lambda entry: _mean(entry, DECISIVE), default=None)


def gains_over(baseline: Entry, entries: Iterable[Entry], sample: Resampled) -> list[Gains]:
    """Compare every other entry with a baseline; entries without stored ranks are skipped.

    Args:
        baseline: the entry to compare with.
        entries: the entries to compare.
        sample: bootstrap means of all of them.
    """
    found = []
    for entry in entries:
        if entry is not baseline:
            compared = [sample.comparison(entry, baseline, metric) for metric in COMPARED]
            known = [comparison for comparison in compared if comparison is not None]
            if len(known) == len(COMPARED):
                found.append(Gains(entry, known))
    return found


def differences_table(entries: Sequence[Entry], baseline: Entry, gains: Sequence[Gains]) -> str:
    """Format the paired differences of `entries` from the strongest baseline, which the heading names."""
    head = [f"Δ vs {baseline.title} ({_rank(entries)})", "seeds"]
    for metric in COMPARED:
        head += [metric_name(metric), "p"]
    rows = []
    for gain in gains:
        cells = [gain.entry.title, f"{seeds_cell(gain.entry)} against {seeds_cell(baseline)}"]
        for found in gain.comparisons:
            cells += [gain_cell(found.difference, found.ci95), p_cell(found.p, RESAMPLES)]
        rows.append(cells)
    return markdown_table(head, rows, names=2)


def findings(
    entries: Sequence[Entry],
    baseline: Entry | None,
    gains: Sequence[Gains],
    independent: Sequence[IndependentResult] = (),
) -> str:
    """List which models are better than the strongest baseline, and where a baseline is best.

    Args:
        entries: all entries of the table.
        baseline: the strongest baseline; None without a baseline.
        gains: the comparisons with it.
        independent: published results in the same table.
    """
    models = [entry for entry in entries if not is_baseline(entry)]
    compared = [gain for gain in gains if not is_baseline(gain.entry)]
    if baseline is None:
        head = "No baseline is stored under this protocol."
    else:
        rank = _rank(entries)
        head = f"{rank[0].upper()}{rank[1:]} is {baseline.title}."
        if len(compared) < len(models):
            head += " Models without stored ranks are not compared with it."
        head += " Compared with it:" if compared else ""
    lines = [_compared(place, compared) for place in range(len(COMPARED))] if compared else []
    lines += [*(_leaders(entries) if models else []), *_above(entries, independent)]
    return "\n".join([head, *([""] if lines else []), *(f"- {line}" for line in lines)])


def _rank(entries: Sequence[Entry]) -> str:
    """Describe the strongest baseline: `the strongest of 3 baselines`."""
    count = sum(map(is_baseline, entries))
    return "the only baseline" if count == 1 else f"the strongest of {count} baselines"


def _compared(place: int, models: Sequence[Gains]) -> str:
    """Group the models by the difference of one metric: better, not different, and worse."""
    groups: dict[str, list[str]] = {
        "Significantly better": [],
        "No significant difference": [],
        "Significantly worse": [],
    }
    better, equal, worse = groups.values()
    for gain in models:
        found = gain.comparisons[place]
        group = equal if not found.significant else better if found.difference > 0 else worse
        group.append(gain.entry.title)
    parts = [] if better else ["No model is significantly better"]
    parts += [f"{name}: {_listed(titles)}" for name, titles in groups.items() if titles]
    return f"**{metric_name(COMPARED[place])}.** {'. '.join(parts)}."


def _leaders(entries: Sequence[Entry]) -> Iterator[str]:
    """Name the metrics in which a baseline is ahead of every model."""
    for metric in COMPARED:
        known = [entry for entry in entries if entry.values(metric)]
        first = max(known, key=lambda entry: _mean(entry, metric), default=None)
        if first is not None and is_baseline(first):
            yield f"The highest {metric_name(metric)} of this table is that of a baseline, {first.title}."


def _above(entries: Sequence[Entry], independent: Sequence[IndependentResult]) -> Iterator[str]:
    """Name the published results above every stored one."""
    for metric in COMPARED:
        highest = max((_mean(entry, metric) for entry in entries if entry.values(metric)), default=0.0)
        above = [row for row in independent if row.metrics[metric] > highest]
        if above:
            names = _listed([f"{row.model} ({number(row.metrics[metric])})" for row in above])
            yield f"Published with a higher {metric_name(metric)} than every row measured here: {names}."


def _mean(entry: Entry, metric: str) -> float:
    return statistics.fmean(entry.values(metric))


def _listed(names: Sequence[str]) -> str:
    return "; ".join(names)
