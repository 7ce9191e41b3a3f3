"""`sidkit report`: a run as tables on the terminal, and as one HTML page."""

import typer

from sidkit.cli.options import RunPath
from sidkit.errors import RunFolderError
from sidkit.run import RunFolder

__all__ = ["NAME", "command"]

NAME = "report"


def command(run: RunPath) -> None:
    """Show what a run has come to so far, and write its page; no stage is run.

    For example:

    `sidkit report runs/ml-100k`
    """
    from sidkit.report import print_report, write_page

    if not RunFolder(run).records:
        raise RunFolderError(f"there is nothing to report in `{run}`: make a run with `sidkit run`")
    print_report(run)
    typer.echo(f"\n{write_page(run)}")
