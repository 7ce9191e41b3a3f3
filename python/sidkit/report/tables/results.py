"""Accuracy tables of stored runs: all models of a dataset, one table for each protocol."""

import statistics
from collections.abc import Iterator, Sequence

from sidkit.report.names import metric_name
from sidkit.report.numbers import number
from sidkit.report.tables.baselines import (
    COMPARED,
    differences_table,
    findings,
    gains_over,
    is_baseline,
    strongest_baseline,
)
from sidkit.report.tables.cells import accuracy_cell, cost_cell, seeds_cell, training_cell
from sidkit.report.tables.independent import IndependentResult
from sidkit.report.tables.markdown import markdown_table
from sidkit.report.tables.resampling import Resampled
from sidkit.report.tables.stored import Entry, Setting, StoredRun, settings_of

__all__ = ["results_tables"]


def results_tables(runs: Sequence[StoredRun], independent: Sequence[IndependentResult] = ()) -> str:
    """Format a Markdown table for every protocol, with paired differences from its strongest baseline.

    A row is one ranking of a model, best NDCG@10 first, in three groups: models, baselines, and results that
    others published. Values are means over the stored seeds, with `±` their standard deviation for several
    seeds, and in parentheses the 95 % interval of the mean over users.

    Args:
        runs: stored runs of one dataset.
        independent: published results; those of other datasets and protocols are ignored.
    """
    parts = [part for setting in settings_of(runs) for part in _of_setting(setting, independent)]
    return "\n\n".join(parts) + "\n"


def _of_setting(setting: Setting, independent: Sequence[IndependentResult]) -> Iterator[str]:
    entries = sorted(setting.entries, key=_place)
    published = sorted(
        (row for row in independent if row.matches(setting.rules)), key=lambda row: -row.metrics["ndcg@10"]
    )
    sample = Resampled.of(entries, COMPARED)
    yield f"**{setting.title}**"
    yield _accuracy(entries, published, sample)
    baseline = strongest_baseline(entries)
    gains = [] if baseline is None else gains_over(baseline, entries, sample)
    if baseline is not None and gains:
        yield differences_table(entries, baseline, gains)
    yield findings(entries, baseline, gains, published)
    if published:
        yield "\n".join(["Sources of the results published elsewhere:", "", *map(_source, published)])
    yield from (f"Evaluation protocol: {protocol.sentence()}." for protocol in setting.protocols)
    machines = _machines(entries)
    if machines:
        yield f"Times: {machines}, except where a GPU is named."


def _accuracy(entries: Sequence[Entry], published: Sequence[IndependentResult], sample: Resampled) -> str:
    heads = ["model", "seeds", *map(metric_name, COMPARED), "training, s", "CPU, s"]
    groups = {
        "Models": [_row(entry, sample) for entry in entries if not is_baseline(entry)],
        "Baselines": [_row(entry, sample) for entry in entries if is_baseline(entry)],
        "Published elsewhere": [_published_row(row) for row in published],
    }
    rows = []
    for name, members in groups.items():
        if members:
            rows += [[f"**{name}**", *[""] * (len(heads) - 1)], *members]
    return markdown_table(heads, rows)


def _row(entry: Entry, sample: Resampled) -> list[str]:
    figures = (accuracy_cell(entry, name, sample) for name in COMPARED)
    costs = training_cell(entry), cost_cell(run.cpu_seconds for run in entry.runs)
    return [entry.title, seeds_cell(entry), *figures, *costs]


def _published_row(row: IndependentResult) -> list[str]:
    seeds = "–" if row.seeds is None else "1 seed" if row.seeds == 1 else f"{row.seeds} seeds"
    return [f"{row.model}, {row.source}", seeds, *(number(row.metrics[name]) for name in COMPARED), "–", "–"]


def _source(row: IndependentResult) -> str:
    """Describe the source and the known settings of a published result in one list item."""
    unknown = "order of tied timestamps not stated" if row.ties == "unknown" else ""
    source = f"[{row.source}]({row.url})" if row.url else row.source
    details = "; ".join(part for part in (row.settings, row.remark, unknown) if part)
    return f"- {row.model}, {source}{f': {details}' if details else ''}."


def _machines(entries: Sequence[Entry]) -> str:
    """Name the processors of the trainings without a GPU: `AMD EPYC with 2 cores`."""
    facts = [run.metrics.machine for entry in entries for run in entry.runs if not run.gpu]
    names = [f"{fact['cpu']} with {fact.get('cores', '?')} cores" for fact in facts if fact.get("cpu")]
    return ", ".join(sorted(set(names)))


def _place(entry: Entry) -> float:
    values = entry.values("ndcg@10")
    return -statistics.fmean(values) if values else 0.0
