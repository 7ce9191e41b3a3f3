"""Tables of results in documents, rewritten from stored `metrics.json` files.

A document marks where a table goes:

    <!-- results:beauty -->
    (whatever stands here is replaced)
    <!-- /results -->

and the runs are kept as `<results>/<dataset>/<model>-<setting>-seed<n>/metrics.json`, so that no number in a
document is typed by hand. Run it with `python -m sidkit.report.tables docs/results README.md docs/*.md`.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sidkit._files import write_text
from sidkit.errors import DataError, SidkitError
from sidkit.evaluate import Metrics
from sidkit.report.charts import number
from sidkit.report.vocabulary import metric_name, model_name

__all__ = ["StoredRun", "results_table", "stored_runs", "update_tables"]

METRICS = ("recall@5", "ndcg@5", "recall@10", "ndcg@10")

_MARK = re.compile(r"^<!-- results:", re.MULTILINE)
_BLOCK = re.compile(
    r"^<!-- results:(?P<dataset>[\w.-]+) -->\n(?P<old>.*?)^<!-- /results -->$", re.MULTILINE | re.DOTALL
)
_FOLDER = re.compile(r"(?P<model>[^-]+)(?:-(?P<setting>.+?))?-seed(?P<seed>\d+)$")


@dataclass(frozen=True)
class StoredRun:
    """One stored result.

    Attributes:
        dataset: the name of the folder above.
        model: the first part of the folder's name.
        setting: the parts between model and seed; empty for the default.
        seed: of the training.
        metrics: the contents of its `metrics.json`.
    """

    dataset: str
    model: str
    setting: str
    seed: int
    metrics: Metrics


def stored_runs(results: str | os.PathLike[str], dataset: str) -> list[StoredRun]:
    """Read the stored runs of a dataset, ordered by model, setting and seed.

    Raises:
        DataError: if there is none, or a folder is not named `<model>-<setting>-seed<n>`, or does not hold
            the results of the model it is named after.
        FormatError: if a `metrics.json` is damaged.
    """
    runs = [_stored_run(dataset, path) for path in sorted(Path(results, dataset).glob("*/metrics.json"))]
    if not runs:
        raise DataError(f"no stored run of `{dataset}`: expected {Path(results, dataset)}/*/metrics.json")
    return sorted(runs, key=lambda run: (run.model, run.setting, run.seed))


def results_table(runs: Sequence[StoredRun], metrics: Iterable[str] = METRICS) -> str:
    """Write a Markdown table, each number with its interval, and the protocols under it.

    A run has one row, or one for every way in which its model ranks; beside them the seconds of its training.
    """
    shown = [name for name in metrics if any(run.metrics.find(run.model, name) for run in runs)]
    head = ["model", "setting", "seed", *map(metric_name, shown), "training, s"]
    lines = [_row(head), _row(["---", "---", "---:", *["---:"] * len(shown), "---:"])]
    for run in runs:
        seconds = run.metrics.seconds.get(f"train.{run.model}")
        cost = "–" if seconds is None else f"{seconds:,.0f}"
        for model in run.metrics.models:
            if model.partition("-")[0] == run.model:
                cells = [model_name(model), run.setting or "default", str(run.seed)]
                lines.append(_row([*cells, *(_cell(run, model, name) for name in shown), cost]))
    protocols = list(dict.fromkeys(run.metrics.protocol.sentence() for run in runs))
    notes = [f"Measured on: {sentence}." for sentence in protocols]
    return "\n".join([*lines, "", *_between(notes)]) + "\n"


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
    changed = []
    for document in map(Path, documents):
        old = document.read_text(encoding="utf-8")
        if len(_MARK.findall(old)) != len(_BLOCK.findall(old)):
            raise DataError(
                f"{document}: every `<!-- results:NAME -->` needs a line `<!-- /results -->` after its table"
            )
        new = _BLOCK.sub(lambda block: _renewed(results, block), old)
        if new != old:
            changed.append(document)
            if not check:
                write_text(document, new)
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite or check the tables of documents; give the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m sidkit.report.tables", description="Rewrite tables of results in documents."
    )
    parser.add_argument("results", type=Path, help="folder of stored runs, such as docs/results")
    parser.add_argument("documents", type=Path, nargs="+", help="Markdown files with marked tables")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a table is out of date")
    options = parser.parse_args(arguments)
    try:
        changed = update_tables(options.results, options.documents, check=options.check)
    except (SidkitError, OSError) as error:
        parser.exit(2, f"error: {error}\n")
    for document in changed:
        sys.stdout.write(f"{document}: {'out of date' if options.check else 'renewed'}\n")
    return 1 if options.check and changed else 0


def _stored_run(dataset: str, path: Path) -> StoredRun:
    name = _FOLDER.fullmatch(path.parent.name)
    if name is None:
        raise DataError(f"{path.parent}: a stored run must be named <model>-<setting>-seed<n>")
    metrics = Metrics.load(path)
    if name["model"] not in metrics.models:
        raise DataError(
            f"{path}: expected results of `{name['model']}`, as the folder says, got {metrics.models}"
        )
    return StoredRun(dataset, name["model"], name["setting"] or "", int(name["seed"]), metrics)


def _renewed(results: str | os.PathLike[str], block: re.Match[str]) -> str:
    table = results_table(stored_runs(results, block["dataset"]))
    return f"<!-- results:{block['dataset']} -->\n\n{table}\n<!-- /results -->"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _cell(run: StoredRun, model: str, metric: str) -> str:
    result = run.metrics.find(model, metric)
    if result is None:
        return "–"
    interval = f" ({number(result.ci95[0])}–{number(result.ci95[1])})" if result.ci95 else ""
    return number(result.value) + interval


def _between(paragraphs: Sequence[str]) -> list[str]:
    return [line for place, text in enumerate(paragraphs) for line in ([""] if place else []) + [text]]


if __name__ == "__main__":
    sys.exit(main())
