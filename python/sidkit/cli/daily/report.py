"""`sidkit report`: a run as tables on the terminal and as one HTML page, or a comparison of several runs."""

from pathlib import Path
from typing import Annotated

import typer

from sidkit.errors import ConfigError, RunDirectoryError
from sidkit.report import print_report, write_comparison, write_page
from sidkit.report.collect import READ
from sidkit.run import RunDirectory

__all__ = ["command"]


def command(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="One run directory, or several to compare.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The page that compares several runs; by default `comparison.html`."),
    ] = None,
) -> None:
    """Show the results of a run so far, and write its page; no stage is run.

    Several runs are compared on one page; the first is the baseline of the others.

    For example:

    `sidkit report runs/ml-100k`

    `sidkit report runs/plain runs/better --out better.html`
    """
    if len(runs) == 1 and out is not None:
        raise ConfigError(
            "--out is for the page that compares several runs; that of one run is in its directory"
        )
    for run in runs:
        _check(run)
    if len(runs) > 1:
        typer.echo(write_comparison(runs, out or Path("comparison.html")))
        return
    print_report(runs[0])
    typer.echo(f"\n{write_page(runs[0])}")


def _check(run: Path) -> None:
    directory = RunDirectory(run)
    if not directory.records:
        raise RunDirectoryError(f"there is nothing to report in `{run}`: make a run with `sidkit run`")
    directory.verify(READ)
