"""`sidkit embed`: item vectors."""

from sidkit.cli.groups import with_groups
from sidkit.cli.options import Source
from sidkit.cli.pipeline import RunOptions, run_until

__all__ = ["command"]


@with_groups
def command(source: Source, options: RunOptions) -> None:
    """Run a pipeline up to the item vectors.

    For example:
    `sidkit embed my-data/ --out runs/mine --set embed.model=sentence-transformers/sentence-t5-base`
    """
    run_until("embed", source, options)
