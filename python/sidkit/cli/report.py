"""`sidkit report`: a run as a table on the terminal, and as one HTML page."""

from sidkit.cli.options import RunPath
from sidkit.cli.pipeline import run_until

__all__ = ["NAME", "command"]

NAME = "report"


def command(run: RunPath) -> None:
    """Show the metrics of a run, and write its page again.

    For example:

    `sidkit report runs/ml-100k`
    """
    run_until("report", str(run))
