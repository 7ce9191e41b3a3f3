"""`sidkit tokenize`: items become Semantic IDs."""

from sidkit.cli.options import ConfigFile, Force, Out, Preset, Settings, Source
from sidkit.cli.pipeline import run_until

__all__ = ["NAME", "command"]

NAME = "tokenize"


def command(
    source: Source,
    out: Out = None,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
    force: Force = False,
) -> None:
    """Run a pipeline up to the Semantic IDs: data, embed, quantize, ids.

    For example:
    `sidkit tokenize ml-100k --out runs/tokens --set quantize.codes=64`
    """
    run_until("ids", source, out=out, preset=preset, config_file=config, assignments=settings, force=force)
