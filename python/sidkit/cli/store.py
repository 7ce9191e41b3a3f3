"""`sidkit store`: the results of a run, kept where the tables of documents are made from."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "store"


def command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Evaluated run directories.")],
    to: Annotated[Path, typer.Option("--to", help="The folder of stored results.")] = Path("benches/results"),
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Only this model; may be repeated.")
    ] = None,
    variant: Annotated[
        str, typer.Option("--variant", help="One word for what sets the models apart from their default.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Write over what is stored already.")] = False,
) -> None:
    """Keep the metrics of every model of runs, and the rank of each user's target: no weights, no lists.

    The tables of documents are then made anew with `python -m sidkit.report.tables benches/results docs/*.md`.

    For example:

    `sidkit store runs/beauty-seed0 runs/beauty-seed1 --model sasrec`

    `sidkit store runs/beauty-dense --variant joint`
    """
    from sidkit.experiments.store import store_run

    for run in runs:
        for place in store_run(run, to, variant=variant, models=model or (), force=force):
            typer.echo(place)
