"""`sidkit evaluate`: predictions become metrics."""

from sidkit.cli.options import ConfigFile, Force, Out, Preset, Settings, Source
from sidkit.cli.pipeline import run_until

__all__ = ["NAME", "command"]

NAME = "evaluate"


def command(
    source: Source,
    out: Out = None,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
    force: Force = False,
) -> None:
    """Run a pipeline up to the metrics of every model, and print them.

    For example:
    `sidkit evaluate runs/mine --set evaluate.ks='[1, 10]'`
    """
    run_until(
        "evaluate", source, out=out, preset=preset, config_file=config, assignments=settings, force=force
    )
