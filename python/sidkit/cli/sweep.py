"""`sidkit sweep`: which shape of Semantic IDs serves a ranking model best."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from sidkit.cli.groups import with_groups
from sidkit.cli.options import Source
from sidkit.cli.progress import Watcher
from sidkit.cli.ranking import RankingOptions, Representation, prepare
from sidkit.errors import ConfigError

if TYPE_CHECKING:
    from sidkit.experiments.sweep import Sweep

__all__ = ["NAME", "command"]

NAME = "sweep"
_DEFAULTS = RankingOptions(seeds=3)


@with_groups
def command(
    source: Source,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the sweep is kept; `runs/sweep-<name>` if not given.")
    ] = None,
    tokenizers: Annotated[
        str, typer.Option("--tokenizers", help="Kinds of tokenizer, by commas.")
    ] = "rqkmeans,rqvae,pq",
    levels: Annotated[str, typer.Option("--levels", help="Numbers of levels, by commas.")] = "2,3,4",
    codebook_size: Annotated[
        str, typer.Option("--codebook-size", help="Codewords of each level, by commas.")
    ] = "16,64,256",
    representation: Representation = "all",
    metric: Annotated[
        str, typer.Option("--metric", help="What is drawn: `auc`, `user_auc` or `log_loss`.")
    ] = "auc",
    options: RankingOptions = _DEFAULTS,
) -> None:
    """Vary the kind of tokenizer, its levels and its codes, at one budget: a table and a plot.

    Every finished shape is kept at once: a sweep that was interrupted goes on when the command is given
    again, and a larger grid reuses what there is.

    For example:
    `sidkit sweep ml-100k --levels 2,3,4 --codebook-size 16,64,256`
    """
    from sidkit._files import write_bytes, write_text
    from sidkit.experiments.sweep import sweep, sweep_grid
    from sidkit.report.sweep_plot import METRICS, sweep_plot

    if metric not in METRICS:
        raise ConfigError(f"--metric must be one of {', '.join(METRICS)}; got `{metric}`")
    cells = sweep_grid(
        tokenizers.split(","), _numbers("--levels", levels), _numbers("--codebook-size", codebook_size)
    )
    console = Console()
    ready = prepare(source, options, console)
    folder = out or Path("runs") / f"sweep-{ready.dataset.name}"
    with Watcher(console) as watcher:
        found = sweep(
            ready.split,
            cells,
            folder / "cells",
            representation=representation,
            **ready.trial,
            progress=watcher.started("sweep"),
        )
    write_text(folder / "sweep.json", found.to_json())
    write_bytes(folder / "sweep.csv", found.table().write_csv(float_precision=6).encode())
    write_text(folder / "sweep.svg", sweep_plot(found, metric))
    console.print(_table(found, metric))
    console.print(f"table and plot are in {folder}: sweep.csv, sweep.json, sweep.svg", soft_wrap=True)


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{option} must be integers separated by commas; got `{text}`") from None


def _table(found: "Sweep", metric: str) -> Table:
    import polars as pl

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


def _cell(row: "dict[str, float | None] | None") -> str:
    if row is None or row["mean"] is None:
        return "–"
    half = row["half_width"]
    return f"{row['mean']:.4f}" + (f" ± {half:.4f}" if half is not None and half == half else "")
