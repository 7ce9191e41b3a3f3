"""`sidkit sweep`: shapes of Semantic IDs for a ranking model."""

from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from sidkit._files import write_bytes, write_text
from sidkit.cli.groups import with_groups
from sidkit.cli.options import Source
from sidkit.cli.progress import Watcher
from sidkit.cli.research.ranking import RankingOptions, Representation, prepare
from sidkit.errors import ConfigError
from sidkit.experiments.sweep import sweep, sweep_grid
from sidkit.ranking import Sweep
from sidkit.report.sweep_plot import METRICS, sweep_plot

__all__ = ["command"]

_DEFAULTS = RankingOptions(seeds=3)


@with_groups
def command(
    source: Source,
    out: Annotated[
        Path | None, typer.Option("--out", help="Directory of the sweep; by default `runs/sweep-<name>`.")
    ] = None,
    tokenizers: Annotated[
        str, typer.Option("--tokenizers", help="Tokenizers, separated by commas.")
    ] = "rqkmeans,rqvae,pq",
    levels: Annotated[
        str, typer.Option("--levels", help="Numbers of levels, separated by commas.")
    ] = "2,3,4",
    codebook_size: Annotated[
        str, typer.Option("--codebook-size", help="Codewords per level, separated by commas.")
    ] = "16,64,256",
    representation: Representation = "all",
    metric: Annotated[
        str, typer.Option("--metric", help="Metric of the plot: `auc`, `user_auc` or `log_loss`.")
    ] = "auc",
    options: RankingOptions = _DEFAULTS,
) -> None:
    """Vary tokenizer, levels and codebook size at one budget, and write a table and a plot.

    Every finished shape is stored: the same command resumes an interrupted sweep, and a larger grid reuses
    finished shapes.

    For example:
    `sidkit sweep ml-100k --levels 2,3,4 --codebook-size 16,64,256`
    """
    if metric not in METRICS:
        raise ConfigError(f"--metric must be one of {', '.join(METRICS)}; got `{metric}`")
    cells = sweep_grid(
        tokenizers.split(","), _numbers("--levels", levels), _numbers("--codebook-size", codebook_size)
    )
    console = Console()
    ready = prepare(source, options, console)
    directory = out or Path("runs") / f"sweep-{ready.dataset.name}"
    with Watcher(console) as watcher:
        found = sweep(
            ready.split,
            cells,
            directory / "cells",
            representation=representation,
            items=ready.items,
            settings=ready.settings,
            progress=watcher.started("sweep"),
        )
    write_text(directory / "sweep.json", found.to_json())
    write_bytes(directory / "sweep.csv", found.table().write_csv(float_precision=6).encode())
    write_text(directory / "sweep.svg", sweep_plot(found, metric))
    console.print(_table(found, metric))
    console.print(f"table and plot are in {directory}: sweep.csv, sweep.json, sweep.svg", soft_wrap=True)


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{option} must be integers separated by commas; got `{text}`") from None


def _table(found: Sweep, metric: str) -> Table:
    shown = found.table().filter(pl.col("metric") == metric, pl.col("slice").is_in(["all", "new items"]))
    table = Table(
        "Semantic IDs", "SIDs per item", "all", "new items", title=f"{metric} ({found.representation})"
    )
    for (name,), rows in shown.group_by("name", maintain_order=True):
        figures = {row["slice"]: row for row in rows.to_dicts()}
        distinct = rows["distinct"][0]
        cells = [_cell(figures.get(part)) for part in ("all", "new items")]
        table.add_row(str(name), "" if distinct is None else f"{distinct:.3f}", *cells)
    return table


def _cell(row: dict[str, float | None] | None) -> str:
    if row is None or row["mean"] is None:
        return "–"
    half = row["half_width"]
    return f"{row['mean']:.4f}" + (f" ± {half:.4f}" if half is not None and half == half else "")
