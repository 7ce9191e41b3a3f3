"""`sidkit inspect`: the contents of a run, and the quality of its Semantic IDs."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from sidkit.cli.options import RunPath
from sidkit.errors import ConfigError, RunDirectoryError
from sidkit.report import RunData
from sidkit.report.collect import READ, read_run
from sidkit.report.costs import cost_rows
from sidkit.report.markup import clean
from sidkit.report.structure import collision_rows, depth_rows, neighbour_sentence
from sidkit.report.terminal import tokenizer_table
from sidkit.run import RunDirectory
from sidkit.run.opened import Run, open_run

__all__ = ["command"]

_TRAINING = (
    "parameters",
    "best_step",
    "seconds",
    "tokens_per_second",
    "flops",
    "gemm_share",
    "peak_memory_bytes",
)


def command(
    run: RunPath,
    item: Annotated[str | None, typer.Option("--item", help="An item id: show its Semantic ID.")] = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", metavar="12-200", help="Show the items under a prefix.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Items shown at most.")] = 20,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write the figures as JSON instead of tables.")
    ] = False,
) -> None:
    """Show a run: its stages, trainings and Semantic IDs, or one item, or the items under a prefix.

    For example:

    `sidkit inspect runs/ml-100k`

    `sidkit inspect runs/ml-100k --json`

    `sidkit inspect runs/ml-100k --prefix 12-3`
    """
    if item is not None and prefix is not None:
        raise ConfigError("--item and --prefix exclude each other; give one of them")
    console = Console(markup=False)
    if item is None and prefix is None:
        directory = RunDirectory(run)
        if not directory.records:
            raise RunDirectoryError(f"there is nothing to inspect in `{run}`: make a run with `sidkit run`")
        run_data = _read(directory)
        if as_json:
            # Whole and plain, whatever the width of the terminal.
            typer.echo(json.dumps(_as_json(directory, run_data), indent=2))
            return
        console.print(_stages(directory))
        _print_trainings(console, run_data)
        _print_quality(console, run_data)
        return
    if as_json:
        raise ConfigError("--json is for the figures of the whole run; leave out --item and --prefix")
    opened = open_run(run)
    if item is not None:
        prefix = opened.sid(item)
    console.print(_items(opened, prefix or "", limit))


def _read(directory: RunDirectory) -> RunData:
    directory.verify(READ)
    return read_run(directory.path)


def _print_trainings(console: Console, run: RunData) -> None:
    rows = cost_rows(run)
    if rows:
        console.print(_table("trainings", rows))


def _print_quality(console: Console, run: RunData) -> None:
    levels = tokenizer_table(run, console.width)
    if levels is not None:
        console.print(levels)
    if run.inspection is None:
        return
    console.print(_table("items with the same codes", collision_rows(run.inspection)))
    console.print(_table("what a prefix says", depth_rows(run.inspection)))
    console.print(neighbour_sentence(run.inspection), highlight=False)


def _table(title: str, rows: list[tuple[str, ...]]) -> Table:
    titles, *cells = rows
    table = Table(title=title)
    for heading in titles:
        table.add_column(heading, justify="right")
    for row in cells:
        table.add_row(*row)
    return table


def _as_json(directory: RunDirectory, run: RunData) -> dict[str, Any]:
    stages = {
        name: {
            "seconds": record.seconds,
            "peak_memory_bytes": record.peak_memory_bytes,
            "files": list(record.outputs),
        }
        for name, record in directory.records.items()
    }
    table = run.table
    sids = (
        None
        if table is None
        else {"items": len(table), "sizes": table.sizes, "bits": table.layout.total_bits}
    )
    return {
        "run": str(directory.path),
        "stages": stages,
        "sids": sids,
        "training": {
            name: {figure: history.get(figure) for figure in _TRAINING}
            for name, history in run.histories.items()
        },
        "codes": None if run.inspection is None else run.inspection.to_dict(),
    }


def _stages(directory: RunDirectory) -> Table:
    table = Table("stage", "seconds", "peak MiB", "files", title=str(directory.path))
    for name, record in directory.records.items():
        table.add_row(
            name,
            f"{record.seconds:,.1f}",
            f"{record.peak_memory_bytes / 2**20:,.0f}",
            ", ".join(record.outputs),
        )
    return table


def _items(run: Run, prefix: str, limit: int) -> Table:
    found = run.sids.items(prefix)
    table = Table("sid", "item", "title", title=f"{len(found):,} items under {prefix}")
    for item_id in found[:limit]:
        table.add_row(run.sid(item_id), clean(str(item_id)), clean(run.title(item_id)))
    return table
