"""`sidkit store`: results of runs, from which the tables of documents are generated."""

from pathlib import Path
from typing import Annotated

import typer

from sidkit.experiments.store import store_run

__all__ = ["command"]


def command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Evaluated run directories.")],
    to: Annotated[Path, typer.Option("--to", help="Directory of stored results.")] = Path("benches/results"),
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Only this model; may be repeated.")
    ] = None,
    variant: Annotated[
        str, typer.Option("--variant", help="One word for the difference of the models from their defaults.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace results that are stored already.")] = False,
) -> None:
    """Store the metrics of every model of runs, and the rank of each user's target: no weights, no lists.

    `python -m sidkit.report.tables benches/results docs/results/*.md` then generates the tables of documents.

    For example:

    `sidkit store runs/beauty-seed0 runs/beauty-seed1 --model sasrec`

    `sidkit store runs/beauty-attention --variant attention`
    """
    for run in runs:
        for place in store_run(run, to, variant=variant, models=model or (), force=force):
            typer.echo(place)
