"""`sidkit train`: Semantic IDs train the models."""

from sidkit.cli.options import ConfigFile, Force, Out, Preset, Settings, Source
from sidkit.cli.pipeline import run_until

__all__ = ["NAME", "command"]

NAME = "train"


def command(
    source: Source,
    out: Out = None,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
    force: Force = False,
) -> None:
    """Run a pipeline up to the trained models.

    For example:
    `sidkit train runs/tokens --set models.use='["tiger"]'`
    """
    run_until("train", source, out=out, preset=preset, config_file=config, assignments=settings, force=force)
