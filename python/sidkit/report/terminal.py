"""The report in a terminal: what the models reach, and how well the codes are used."""

import os

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidkit.data import Dataset
from sidkit.evaluate import Result
from sidkit.report.accuracy import shown_metrics
from sidkit.report.charts import number
from sidkit.report.collect import RunData, read_run
from sidkit.report.identifiers import level_facts, unique_rate
from sidkit.report.markup import clean
from sidkit.report.remarks import remarks
from sidkit.report.vocabulary import baseline_last, metric_name, model_name
from sidkit.tokenizers import random_unique_rate

__all__ = ["accuracy_table", "print_report", "tokenizer_table"]

_MODEL_WIDTH = 14
# An interval such as 0.0468–0.0511, and the blanks around it.
_METRIC_WIDTH = 16
# A table of levels with all its columns.
_WIDE = 78
_KINDS = ("ndcg", "recall", "mrr", "coverage")


def print_report(
    run: str | os.PathLike[str] | RunData, *, console: Console | None = None, dataset: Dataset | None = None
) -> None:
    """Print the tables of a run.

    Args:
        run: the run directory, or what `read_run` gave.
        console: where to print; standard output if not given.
        dataset: the run's dataset if it is at hand, see `read_run`.
    """
    data = run if isinstance(run, RunData) else read_run(run, dataset=dataset)
    out = console or Console()
    for table in (tokenizer_table(data, out.width), accuracy_table(data, out.width)):
        if table is not None:
            out.print(table)
            out.print()
    if data.metrics is not None:
        out.print(Text(data.metrics.protocol.sentence(), style="dim"))
    for remark in remarks(data):
        out.print()
        out.print(Text(remark))


def accuracy_table(run: RunData, width: int = 120) -> Table | None:
    """Lay out models against metrics, each with its interval; None without results.

    Args:
        run: what `read_run` gave.
        width: the characters there are; metrics that do not fit are left out, the main ones last.
    """
    metrics = run.metrics
    if metrics is None or not metrics.results:
        return None
    names = _fitting(shown_metrics(metrics), width)
    table = _table(f"Accuracy on {clean(run.name)}")
    table.add_column("model", no_wrap=True, max_width=_MODEL_WIDTH)
    for name in names:
        table.add_column(metric_name(name), justify="right", no_wrap=True)
    best = {
        name: max(r.value for r in metrics.results if (r.metric, r.slice) == (name, "all")) for name in names
    }
    for model in baseline_last(metrics.models):
        cells = [_cell(metrics.find(model, name), best[name]) for name in names]
        table.add_row(Text(clean(model_name(model))), *cells)
    return table


def _fitting(names: list[str], width: int) -> list[str]:
    room = max(1, (width - _MODEL_WIDTH - 2) // _METRIC_WIDTH)
    cutoff = names[-1].partition("@")[2] if names else ""
    # What is reported most often is given up last.
    wanted = sorted(
        names, key=lambda name: (_KINDS.index(name.partition("@")[0]) // 2, not name.endswith(f"@{cutoff}"))
    )[:room]
    return [name for name in names if name in wanted]


def _cell(result: Result | None, best: float) -> Text:
    if result is None:
        return Text("–")
    is_best = result.value == best and not result.metric.startswith("coverage")
    cell = Text(number(result.value), style="bold" if is_best else "")
    if result.ci95 is not None:
        cell.append(f"\n{number(result.ci95[0])}–{number(result.ci95[1])}", style="dim not bold")
    return cell


def _table(title: str) -> Table:
    return Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )


def tokenizer_table(run: RunData, width: int = 120) -> Table | None:
    """Lay out what each level of the codes is worth; None without Semantic IDs.

    Args:
        run: what `read_run` gave.
        width: the characters there are; entropy and Gini are left out where they do not fit.
    """
    levels = level_facts(run)
    if not levels:
        return None
    rate = unique_rate(run)
    title = "Semantic IDs"
    if rate is not None and run.table is not None:
        random = random_unique_rate(len(run.table), [level.size for level in levels])
        title += f": {rate:.1%} unique codes, random ones {random:.1%}"
    table = _table(title)
    wide = width >= _WIDE
    uneven = ("entropy", "Gini") if wide else ()
    for heading in ("level", "codebook_size", "in use", "perplexity", *uneven, "unexplained variance"):
        table.add_column(heading, justify="right")
    for place, level in enumerate(levels):
        mse = "–" if level.mse is None else f"{level.mse:.3f}"
        gini = "–" if level.gini is None else f"{level.gini:.3f}"
        counts = (f"{level.size:,}", f"{level.used:,}", f"{level.perplexity:.1f}")
        table.add_row(str(place), *counts, *((f"{level.entropy:.2f}", gini) if wide else ()), mse)
    return table
