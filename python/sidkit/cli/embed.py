"""`sidkit embed`: items become vectors."""

from sidkit.cli.options import ConfigFile, Force, Out, Preset, Settings, Source
from sidkit.cli.pipeline import run_until

__all__ = ["NAME", "command"]

NAME = "embed"


def command(
    source: Source,
    out: Out = None,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
    force: Force = False,
) -> None:
    """Run a pipeline up to the vectors of the items.

    For example:
    `sidkit embed my-data/ --out runs/mine --set embed.model=sentence-transformers/sentence-t5-base`
    """
    run_until("embed", source, out=out, preset=preset, config_file=config, assignments=settings, force=force)
