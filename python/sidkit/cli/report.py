"""`sidkit report`: a run as tables on the terminal and as one HTML page, or several side by side."""

from pathlib import Path
from typing import Annotated

import typer

from sidkit.errors import ConfigError, RunDirectoryError
from sidkit.run import RunDirectory

__all__ = ["NAME", "command"]

NAME = "report"


def command(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="One run directory, or several to compare.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The page that compares several runs; `comparison.html` if not given."),
    ] = None,
) -> None:
    """Show what a run has come to so far, and write its page; no stage is run.

    Several runs are put side by side on one page; the first is what the others are compared with.

    For example:

    `sidkit report runs/ml-100k`

    `sidkit report runs/plain runs/better --out better.html`
    """
    from sidkit.report import print_report, write_comparison, write_page

    if len(runs) == 1 and out is not None:
        raise ConfigError(
            "--out is for the page that compares several runs; that of one run is in its folder"
        )
    for run in runs:
        _check(run)
    if len(runs) > 1:
        typer.echo(write_comparison(runs, out or Path("comparison.html")))
        return
    print_report(runs[0])
    typer.echo(f"\n{write_page(runs[0])}")


def _check(run: Path) -> None:
    from sidkit.report.collect import READ

    folder = RunDirectory(run)
    if not folder.records:
        raise RunDirectoryError(f"there is nothing to report in `{run}`: make a run with `sidkit run`")
    folder.verify(READ)
