"""Report in the terminal: accuracy of the models and code usage of the tokenizer."""

import math
import os

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidkit._arguments import checked
from sidkit.data import Dataset
from sidkit.evaluate import Metrics, Result
from sidkit.report.collect import RunData, read_run
from sidkit.report.headline import shown_metrics
from sidkit.report.levels import level_facts, unique_rate
from sidkit.report.markup import clean
from sidkit.report.names import baseline_last, cold_title, metric_name, model_name
from sidkit.report.numbers import number
from sidkit.report.remarks import conclusion, remarks
from sidkit.tokenizers import random_unique_rate

__all__ = ["accuracy_tables", "print_report", "tokenizer_table"]

_MODEL_WIDTH = 14
# Width of an interval such as 0.0468–0.0511 with padding.
_METRIC_WIDTH = 16
# Width of the table of levels with all columns.
_WIDE = 78
_KINDS = ("ndcg", "recall", "mrr", "coverage")


@checked
def print_report(
    run: str | os.PathLike[str] | RunData, *, console: Console | None = None, dataset: Dataset | None = None
) -> None:
    """Print the tables of a run.

    Args:
        run: the run directory, or the result of `read_run`.
        console: the console; standard output if None.
        dataset: the dataset of the run if it is loaded already, see `read_run`.
    """
    data = run if isinstance(run, RunData) else read_run(run, dataset=dataset)
    out = console or Console()
    for table in (tokenizer_table(data, out.width), *accuracy_tables(data, out.width)):
        if table is not None:
            out.print(table)
            out.print()
    if data.metrics is not None:
        out.print(Text(data.metrics.protocol.sentence(), style="dim"))
    summary = conclusion(data)
    for remark in [*([summary] if summary else []), *remarks(data)]:
        out.print()
        out.print(Text(remark))


def accuracy_tables(run: RunData, width: int = 120) -> list[Table]:
    """Lay out models and metrics with intervals, one table per `exclude_seen` setting.

    Args:
        run: the result of `read_run`.
        width: available characters; metrics that do not fit are omitted, the main ones last.
    """
    metrics = run.metrics
    if metrics is None or not metrics.results:
        return []
    each = [metrics.under(setting) for setting in metrics.protocol.exclude_seen]
    tables = [_accuracy_table(run, one, width) for one in each if one.results]
    return [*tables, _cold_table(each[0])] if each[0].cold_start else tables


def _cold_table(metrics: Metrics) -> Table:
    """Lay out warm and cold targets of each model."""
    table = _table(f"Warm and cold targets, {metrics.protocol.seen_phrase()}")
    table.add_column("model", no_wrap=True, max_width=_MODEL_WIDTH)
    for name, group in metrics.cold_start:
        table.add_column(cold_title(name, group), justify="right")
    for model in baseline_last(metrics.models):
        found = [metrics.find(model, name, group) for name, group in metrics.cold_start]
        table.add_row(Text(clean(model_name(model))), *(_cell(result, math.inf) for result in found))
    return table


def _accuracy_table(run: RunData, metrics: Metrics, width: int) -> Table:
    names = _fitting(shown_metrics(metrics), width)
    table = _table(f"Accuracy on {clean(run.name)}, {metrics.protocol.seen_phrase()}")
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
    # The metrics that are reported most often are omitted last.
    kept = sorted(
        names, key=lambda name: (_KINDS.index(name.partition("@")[0]) // 2, not name.endswith(f"@{cutoff}"))
    )[:room]
    return [name for name in names if name in kept]


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
    """Lay out the code usage of each level; None without Semantic IDs.

    Args:
        run: the result of `read_run`.
        width: available characters; entropy and Gini are omitted where they do not fit.
    """
    levels = level_facts(run)
    if not levels:
        return None
    rate = unique_rate(run)
    title = "Semantic IDs"
    if rate is not None and run.table is not None:
        random = random_unique_rate(len(run.table), [level.codebook_size for level in levels])
        title += f": {rate:.1%} unique codes, {random:.1%} for random codes"
    table = _table(title)
    wide = width >= _WIDE
    uneven = ("entropy", "Gini") if wide else ()
    for heading in ("level", "codebook size", "in use", "perplexity", *uneven, "unexplained variance"):
        table.add_column(heading, justify="right")
    for place, level in enumerate(levels):
        mse = "–" if level.mse is None else f"{level.mse:.3f}"
        gini = "–" if level.gini is None else f"{level.gini:.3f}"
        counts = (f"{level.codebook_size:,}", f"{level.used:,}", f"{level.perplexity:.1f}")
        table.add_row(str(place), *counts, *((f"{level.entropy:.2f}", gini) if wide else ()), mse)
    return table
