"""`sidkit run`: every stage, from data to report."""

from sidkit.cli.options import ConfigFile, Force, Out, Preset, Settings, Source
from sidkit.cli.pipeline import run_until

__all__ = ["NAME", "command"]

NAME = "run"


def command(
    source: Source,
    out: Out = None,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
    force: Force = False,
) -> None:
    """Run every stage: data, embed, quantize, ids, train, decode, evaluate, report.

    What is finished is not run again; an interrupted run goes on where it was.

    For example:

    `sidkit run ml-100k --preset demo`

    `sidkit run my-data/ --out runs/mine --set quantize.method=rqvae`
    """
    run_until("report", source, out=out, preset=preset, config_file=config, assignments=settings, force=force)
