"""`sidkit run`: every stage, from data to report."""

from sidkit.cli.groups import with_groups
from sidkit.cli.options import Source
from sidkit.cli.pipeline import RunOptions, run_until

__all__ = ["NAME", "command"]

NAME = "run"


@with_groups
def command(source: Source, options: RunOptions) -> None:
    """Run every stage: data, embed, quantize, ids, train, decode, evaluate, report.

    What is finished is not run again; an interrupted run goes on where it was.

    For example:

    `sidkit run ml-100k --preset demo`

    `sidkit run my-data/ --out runs/mine --set tokenize.method=rqvae`
    """
    run_until("report", source, options)
