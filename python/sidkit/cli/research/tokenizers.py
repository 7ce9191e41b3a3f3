"""`sidkit tokenizers`: all tokenizers on one catalogue."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sidkit.cli.options import ConfigFile, Force, Preset, Settings
from sidkit.cli.pipeline import configured
from sidkit.cli.progress import Watcher
from sidkit.experiments.compare_tokenizers import BUDGET, compare_tokenizers
from sidkit.report.tables.tokenizers import tokenizers_tables
from sidkit.run import read_tables

__all__ = ["command"]


def command(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A built-in dataset, or a directory.")],
    out: Annotated[Path, typer.Option("--out", help="Directory of the runs; an interrupted one resumes.")],
    to: Annotated[
        Path | None, typer.Option("--to", help="Directory of stored results; by default `results` in OUT.")
    ] = None,
    tokenizer: Annotated[
        list[str] | None,
        typer.Option(
            "--tokenizer",
            help="Only this tokenizer or variant, such as `rqkmeans` or `hybrid`; may be repeated.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Number of seeds, from 0.")] = 1,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
    force: Force = False,
) -> None:
    """Fit every tokenizer, train one generative model on the codes of each, and print tables of the results.

    All trainings have the same settings: a small RQTransformer that uses codes only, unless you choose
    another model. A setting of `tokenize` that a tokenizer sets itself, or does not have, is refused; choose
    tokenizers by `--tokenizer`. Each is a run directory, and after Ctrl-C the same command resumes.
    Tokenizers that the dataset does not support, such as `words` without texts, are skipped and reported.

    For example:

    `sidkit tokenizers ml-100k --out runs/tokenizers --seeds 3`

    `sidkit tokenizers data/shop --out runs/shop --tokenizer rqkmeans --tokenizer hybrid --tokenizer random`
    """
    given = {} if config is None else read_tables(config)
    base = configured(
        BUDGET,
        given,
        {"data": {"source": source}},
        preset=preset,
        assignments=settings or [],
        console=Console(markup=False),
    )
    results = to or out / "results"
    with Watcher(Console(markup=False)) as watcher:
        try:
            found = compare_tokenizers(
                base, out, results, names=tokenizer or (), seeds=range(seeds), force=force, observer=watcher
            )
        except KeyboardInterrupt:
            Console(stderr=True, markup=False).print(
                "interrupted; nothing is lost, the same command continues", highlight=False
            )
            raise typer.Exit(130) from None
    typer.echo(tokenizers_tables(results, found.stored[0].parent.name))
    for name, error in found.skipped.items():
        typer.echo(f"skipped: {name}: {error}", err=True)
