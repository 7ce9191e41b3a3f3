"""`sidkit evaluate`: metrics of every model."""

from sidkit.cli.groups import with_groups
from sidkit.cli.options import Source
from sidkit.cli.pipeline import RunOptions, run_until

__all__ = ["command"]


@with_groups
def command(source: Source, options: RunOptions) -> None:
    """Run a pipeline up to the metrics of every model, and print them.

    For example:
    `sidkit evaluate runs/mine --set evaluate.ks='[1, 10]'`
    """
    run_until("evaluate", source, options)
