"""`sidkit train`: trained models."""

from sidkit.cli.groups import with_groups
from sidkit.cli.options import Source
from sidkit.cli.pipeline import RunOptions, run_until

__all__ = ["command"]


@with_groups
def command(source: Source, options: RunOptions) -> None:
    """Run a pipeline up to the trained models.

    For example:
    `sidkit train runs/tokens --set recommenders.use=tiger`
    """
    run_until("train", source, options)
