"""`sidkit tokenizers`: every family of tokenizers on one catalogue."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sidkit.cli.options import ConfigFile, Force, Preset, Settings

__all__ = ["NAME", "command"]

NAME = "tokenizers"


def command(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A built-in data set, or a folder.")],
    out: Annotated[Path, typer.Option("--out", help="The folder of the runs; one that is there goes on.")],
    to: Annotated[
        Path | None, typer.Option("--to", help="The folder of stored results; `results` in OUT if not given.")
    ] = None,
    family: Annotated[
        list[str] | None,
        typer.Option("--family", help="Only this one, such as `rqkmeans` or `joined`; may be repeated."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many, from 0.")] = 1,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
    force: Force = False,
) -> None:
    """Fit tokenizers of every family, train one generator on the codes of each, and print what both reached.

    All trainings have the same settings: a small RQTransformer that reads codes alone, unless you choose
    another. A setting of `tokenize` that a family sets itself, or does not have, is refused; choose families
    by `--family`. Each family is a run directory. After Ctrl-C the same command goes on. A family that the data
    cannot bear, such as `words` without texts, is left out and named.

    For example:

    `sidkit tokenizers ml-100k --out runs/tokenizers --seeds 3`

    `sidkit tokenizers data/shop --out runs/shop --family rqkmeans --family joined --family random`
    """
    from sidkit.cli.progress import Watcher
    from sidkit.experiments.compare_tokenizers import BUDGET, compare_families
    from sidkit.report.tokenizers import tokenizers_tables
    from sidkit.run import build_config, read_tables

    given = {} if config is None else read_tables(config)
    base = build_config(
        BUDGET, given, {"data": {"source": source}}, preset=preset, assignments=settings or ()
    )
    results = to or out / "results"
    with Watcher(Console(markup=False)) as watcher:
        try:
            found = compare_families(
                base, out, results, families=family or (), seeds=range(seeds), force=force, observer=watcher
            )
        except KeyboardInterrupt:
            Console(stderr=True, markup=False).print(
                "interrupted; nothing is lost, the same command goes on", highlight=False
            )
            raise typer.Exit(130) from None
    typer.echo(tokenizers_tables(results, found.stored[0].parent.name))
    for name, error in found.left_out.items():
        typer.echo(f"left out: {name}: {error}", err=True)
