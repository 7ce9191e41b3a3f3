"""Tables of results in documents, rewritten from stored runs.

The blocks, marked as `sidkit.report.documents` says, are

| block | shows |
|---|---|
| `results:beauty` | the stored runs of a dataset, kept as `sidkit.report.stored` says |
| `beams:beauty/rqtransformer-seed0` | what `sidkit beams` measured of a stored run |
| `tokenizers:beauty` | the families that `sidkit tokenizers` compared, in `tokenizers/beauty` |

Run it with `python -m sidkit.report.tables docs/results README.md docs/*.md`.
"""

import os
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sidkit.evaluate import Comparison
from sidkit.report.beams import beams_table, read_beams
from sidkit.report.charts import number
from sidkit.report.documents import Write, renew_documents, run_renewal
from sidkit.report.markup import table_row
from sidkit.report.stored import Entry, Setting, StoredRun, settings_of, stored_runs
from sidkit.report.tokenizers import tokenizers_tables
from sidkit.report.vocabulary import metric_name, model_name

__all__ = ["results_tables", "update_tables"]

METRICS = ("recall@5", "ndcg@5", "recall@10", "ndcg@10")
#: What the others are compared with, and in what.
BASELINE = "sasrec"
_COMPARED = ("recall@10", "ndcg@10")
_ALONE = ("popularity", BASELINE)  # not worth a comparison
_RESAMPLES = 2000


def results_tables(runs: Sequence[StoredRun], metrics: Iterable[str] = METRICS) -> str:
    """Write a Markdown table for every setting, and below it the differences from SASRec user by user.

    A row is one way in which a model ranks. Its numbers are means over the stored seeds, `±` their standard
    deviation where there are several, in parentheses the 95 % interval over users of that mean.
    """
    parts = [part for setting in settings_of(runs) for part in _of_setting(setting, tuple(metrics))]
    return "\n\n".join(parts) + "\n"


def update_tables(
    results: str | os.PathLike[str], documents: Iterable[str | os.PathLike[str]], *, check: bool = False
) -> list[Path]:
    """Rewrite the marked tables of documents.

    Args:
        results: the folder of stored runs, by custom `docs/results`.
        documents: Markdown files; those without a mark are left as they are.
        check: only tell which documents would change.

    Returns:
        The documents that changed, or with `check` would.

    Raises:
        DataError: if a mark has no end, or names a dataset without stored runs.
    """
    return renew_documents(KINDS, results, documents, check=check)


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite or check the tables of documents; give the exit status."""
    return run_renewal(KINDS, arguments, prog="python -m sidkit.report.tables", of="results")


def _of_setting(setting: Setting, metrics: Sequence[str]) -> Iterator[str]:
    yield f"**{setting.title}**"
    yield _accuracy(setting.entries, metrics)
    differences = _differences(setting.entries)
    if differences:
        yield differences
    yield from (f"Measured on: {protocol.sentence()}." for protocol in setting.protocols)


def _accuracy(entries: Sequence[Entry], metrics: Sequence[str]) -> str:
    shown = [name for name in metrics if any(entry.values(name) for entry in entries)]
    lines = [table_row(["model", "seeds", *map(metric_name, shown), "training, s", "CPU, s"])]
    lines.append(table_row(["---", "---:", *["---:"] * (len(shown) + 2)]))
    for entry in entries:
        costs = (_cost(run.seconds for run in entry.runs), _cost(run.cpu_seconds for run in entry.runs))
        lines.append(table_row([entry.title, _seeds(entry), *(_cell(entry, name) for name in shown), *costs]))
    return "\n".join(lines)


def _differences(entries: Sequence[Entry]) -> str:
    """Compare every model with the plain baseline; empty if the ranks of no two of them were kept."""
    baseline = next((entry for entry in entries if (entry.ranking, entry.variant) == (BASELINE, "")), None)
    rows = []
    for entry in entries:
        if baseline is None or entry.ranking in _ALONE:
            continue
        cells = [entry.title, f"{_seeds(entry)} against {_seeds(baseline)}"]
        for metric in _COMPARED:
            gain = entry.gain_over(baseline, metric)
            if gain is None:
                break
            found = Comparison.of(entry.ranking, BASELINE, metric, gain, resamples=_RESAMPLES)
            ends = f"({_signed(found.ci95[0])} to {_signed(found.ci95[1])})"
            cells += [f"{_signed(found.difference)} {ends}", _p(found.p)]
        else:
            rows.append(table_row(cells))
    if not rows:
        return ""
    head = [f"less {model_name(BASELINE)}", "seeds"]
    for metric in _COMPARED:
        head += [metric_name(metric), "p"]
    return "\n".join([table_row(head), table_row(["---", "---", *["---:"] * (len(head) - 2)]), *rows])


def _cell(entry: Entry, metric: str) -> str:
    values = entry.values(metric)
    if not values:
        return "–"
    spread = f" ± {number(statistics.stdev(values))}" if len(values) > 1 else ""
    ends = entry.interval(metric)
    interval = f" ({number(ends[0])}–{number(ends[1])})" if ends else ""
    return number(statistics.fmean(values)) + spread + interval


def _cost(seconds: Iterable[float | None]) -> str:
    known = [value for value in seconds if value is not None]
    return f"{statistics.fmean(known):,.0f}" if known else "–"


def _seeds(entry: Entry) -> str:
    return ", ".join(map(str, entry.seeds))


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")


def _p(value: float) -> str:
    least = 2 / (_RESAMPLES + 1)
    return f"≤ {least:.3f}" if value <= least else f"{value:.3f}"


#: The kinds of blocks, and what writes each.
KINDS: dict[str, Write] = {
    "results": lambda results, dataset: results_tables(stored_runs(results, dataset)),
    "beams": lambda results, run: beams_table(read_beams(results / run / "beams.json")),
    "tokenizers": lambda results, dataset: tokenizers_tables(results / "tokenizers", dataset),
}

if __name__ == "__main__":
    sys.exit(main())
