"""Accuracy tables of stored runs: all models of a dataset, and differences from SASRec."""

from collections.abc import Iterable, Iterator, Sequence

from sidkit.evaluate import Comparison
from sidkit.report.names import metric_name, model_name
from sidkit.report.tables.cells import accuracy_cell, cost_cell, gain_cell, p_cell, seeds_cell, training_cell
from sidkit.report.tables.markdown import markdown_table
from sidkit.report.tables.stored import Entry, Setting, StoredRun, settings_of

__all__ = ["results_tables"]

METRICS = ("recall@5", "ndcg@5", "recall@10", "ndcg@10")
#: The model that others are compared with, and the compared metrics.
BASELINE = "sasrec"
_COMPARED = ("recall@10", "ndcg@10")
_NOT_COMPARED = ("popularity", BASELINE)
_RESAMPLES = 2000


def results_tables(runs: Sequence[StoredRun], metrics: Iterable[str] = METRICS) -> str:
    """Format a Markdown table for every setting, followed by paired differences from SASRec.

    A row is one ranking of a model. Values are means over the stored seeds, with `±` their standard deviation
    for several seeds, and in parentheses the 95 % interval of the mean over users.
    """
    parts = [part for setting in settings_of(runs) for part in _of_setting(setting, tuple(metrics))]
    return "\n\n".join(parts) + "\n"


def _of_setting(setting: Setting, metrics: Sequence[str]) -> Iterator[str]:
    yield f"**{setting.title}**"
    yield _accuracy(setting.entries, metrics)
    differences = _differences(setting.entries)
    if differences:
        yield differences
    yield from (f"Evaluation protocol: {protocol.sentence()}." for protocol in setting.protocols)


def _accuracy(entries: Sequence[Entry], metrics: Sequence[str]) -> str:
    shown = [name for name in metrics if any(entry.values(name) for entry in entries)]
    heads = ["model", "seeds", *map(metric_name, shown), "training, s", "CPU, s"]
    rows = []
    for entry in entries:
        figures = (accuracy_cell(entry, name) for name in shown)
        costs = training_cell(entry), cost_cell(run.cpu_seconds for run in entry.runs)
        rows.append([entry.title, seeds_cell(entry), *figures, *costs])
    return markdown_table(heads, rows)


def _differences(entries: Sequence[Entry]) -> str:
    """Compare every model with the baseline; empty without stored ranks."""
    baseline = next((entry for entry in entries if (entry.ranking, entry.variant) == (BASELINE, "")), None)
    rows = []
    for entry in entries:
        if baseline is None or entry.ranking in _NOT_COMPARED:
            continue
        cells = [entry.title, f"{seeds_cell(entry)} against {seeds_cell(baseline)}"]
        for metric in _COMPARED:
            gain = entry.gain_over(baseline, metric)
            if gain is None:
                break
            found = Comparison.of(entry.ranking, BASELINE, metric, gain, resamples=_RESAMPLES)
            cells += [gain_cell(found.difference, found.ci95), p_cell(found.p, _RESAMPLES)]
        else:
            rows.append(cells)
    if not rows:
        return ""
    head = [f"Δ vs {model_name(BASELINE)}", "seeds"]
    for metric in _COMPARED:
        head += [metric_name(metric), "p"]
    return markdown_table(head, rows, names=2)
