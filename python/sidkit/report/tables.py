"""Tables of results in documents, rewritten from stored runs.

The blocks, marked as `sidkit.report.documents` says, are

| block | shows |
|---|---|
| `results:beauty` | the stored runs of a dataset, kept as `sidkit.report.stored` says |
| `beams:beauty/rqtransformer-seed0` | what `sidkit beams` measured of a stored run |
| `tokenizers:beauty` | the families that `sidkit tokenizers` compared, in `tokenizers/beauty` |

Run it with `python -m sidkit.report.tables benches/results README.md docs/*.md`.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sidkit.evaluate import Comparison
from sidkit.report.beams import beams_table, read_beams
from sidkit.report.cells import accuracy_cell, cost_cell, gain_cell, p_cell, seeds_cell
from sidkit.report.documents import Write, renew_documents, run_renewal
from sidkit.report.markdown import markdown_table
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
    """Rewrite the marked tables of documents, of the runs in a folder, by custom `benches/results`.

    Arguments and what is returned are those of `renew_documents`.

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
    heads = ["model", "seeds", *map(metric_name, shown), "training, s", "CPU, s"]
    rows = []
    for entry in entries:
        costs = (run.seconds for run in entry.runs), (run.cpu_seconds for run in entry.runs)
        figures = (accuracy_cell(entry, name) for name in shown)
        rows.append([entry.title, seeds_cell(entry), *figures, *map(cost_cell, costs)])
    return markdown_table(heads, rows)


def _differences(entries: Sequence[Entry]) -> str:
    """Compare every model with the plain baseline; empty if the ranks of no two of them were kept."""
    baseline = next((entry for entry in entries if (entry.ranking, entry.variant) == (BASELINE, "")), None)
    rows = []
    for entry in entries:
        if baseline is None or entry.ranking in _ALONE:
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
    head = [f"less {model_name(BASELINE)}", "seeds"]
    for metric in _COMPARED:
        head += [metric_name(metric), "p"]
    return markdown_table(head, rows, names=2)


#: The kinds of blocks, and what writes each.
KINDS: dict[str, Write] = {
    "results": lambda results, dataset: results_tables(stored_runs(results, dataset)),
    "beams": lambda results, run: beams_table(read_beams(results / run / "beams.json")),
    "tokenizers": lambda results, dataset: tokenizers_tables(results / "tokenizers", dataset),
}

if __name__ == "__main__":
    sys.exit(main())
