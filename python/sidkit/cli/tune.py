"""`sidkit tune`: good settings for a model, found by training it often."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sidkit.cli.options import ConfigFile, Preset, Settings

__all__ = ["NAME", "command"]

NAME = "tune"


def command(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A built-in data set, or a folder.")],
    space: Annotated[Path, typer.Option("--space", help="A TOML file with a range for each setting.")],
    out: Annotated[Path, typer.Option("--out", help="The folder of the search; one that is there goes on.")],
    model: Annotated[str, typer.Option("--model", help="The model that is trained.")] = "rqtransformer",
    trials: Annotated[int, typer.Option("--trials", help="How many in all.")] = 20,
    metric: Annotated[str, typer.Option("--metric", help="On validation.")] = "ndcg@10",
    seed: Annotated[int, typer.Option("--seed", help="Of the draws.")] = 0,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Train a model under settings drawn from a space; validation judges, test users are never asked.

    A line of the space is `train.sasrec.learning_rate = { low = 1e-4, high = 1e-2, log = true }` or
    `models.sasrec.d_model = [64, 128]`. Every trial is a run directory, and `best.toml` holds the best settings.
    After Ctrl-C the same command goes on, also within a training.

    For example:

    `sidkit tune ml-100k --model sasrec --space space.toml --trials 20 --out runs/tuned`

    `sidkit run ml-100k --config runs/tuned/best.toml --out runs/best`
    """
    from sidkit.cli.progress import Watcher
    from sidkit.experiments.tune import read_space, tune
    from sidkit.run import build_config, read_tables

    given = {} if config is None else read_tables(config)
    base = build_config(given, {"data": {"source": source}}, preset=preset, assignments=settings or ())
    console = Console(markup=False)
    with Watcher(console) as watcher:
        try:
            found = tune(
                base,
                read_space(space),
                out,
                model=model,
                trials=trials,
                metric=metric,
                seed=seed,
                observer=watcher,
            )
        except KeyboardInterrupt:
            Console(stderr=True, markup=False).print(
                "interrupted; nothing is lost, the same command goes on", highlight=False
            )
            raise typer.Exit(130) from None
    keys = list(found[0].settings)
    table = Table("trial", f"{metric}, validation", *(key.replace(".", ".\n") for key in keys))
    for trial in found:
        value = "–" if trial.value is None else f"{trial.value:.4f}"
        table.add_row(trial.folder.name, value, *(_shown(trial.settings.get(key)) for key in keys))
    console.print(table)
    console.print(f"best settings in {out / 'best.toml'}", highlight=False, soft_wrap=True)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
