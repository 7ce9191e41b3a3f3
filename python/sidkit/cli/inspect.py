"""`sidkit inspect`: what is in a run, and what is behind a Semantic ID."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from sidkit.cli.options import RunPath
from sidkit.errors import RunFolderError
from sidkit.run import RunFolder

if TYPE_CHECKING:
    from sidkit.serve import Run

__all__ = ["NAME", "command"]

NAME = "inspect"


def command(
    run: RunPath,
    item: Annotated[str | None, typer.Option("--item", help="An item id: show its Semantic ID.")] = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", metavar="12-200", help="Show the items under a prefix.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Items shown at most.")] = 20,
) -> None:
    """Show the stages of a run, the Semantic ID of an item, or the items under a prefix.

    For example:

    `sidkit inspect runs/ml-100k`

    `sidkit inspect runs/ml-100k --prefix 12-3`
    """
    console = Console(markup=False)
    if item is None and prefix is None:
        folder = RunFolder(run)
        if not folder.records:
            raise RunFolderError(f"there is nothing to inspect in `{run}`: make a run with `sidkit run`")
        console.print(_stages(folder))
        return
    from sidkit.serve import open_run

    opened = open_run(run)
    if item is not None:
        prefix = opened.sid(item)
    console.print(_items(opened, prefix or "", limit))


def _stages(folder: RunFolder) -> Table:
    table = Table("stage", "seconds", "peak MiB", "files", title=str(folder.path))
    for name, record in folder.records.items():
        table.add_row(
            name,
            f"{record.seconds:,.1f}",
            f"{record.peak_memory_bytes / 2**20:,.0f}",
            ", ".join(record.outputs),
        )
    return table


def _items(run: "Run", prefix: str, limit: int) -> Table:
    from sidkit.report.markup import clean

    found = run.table.items(prefix)
    table = Table("sid", "item", "title", title=f"{len(found):,} items under {prefix}")
    for item_id in found[:limit]:
        table.add_row(run.sid(item_id), clean(str(item_id)), clean(run.label(item_id)))
    return table
