"""`sidkit tune`: search for good settings of a model."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sidkit.cli.options import ConfigFile, Preset, Settings
from sidkit.cli.pipeline import configured
from sidkit.cli.progress import Watcher
from sidkit.experiments.tune import read_space, tune
from sidkit.run import read_tables

__all__ = ["command"]


def command(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A built-in dataset, or a directory.")],
    space: Annotated[Path, typer.Option("--space", help="A TOML file with a range for each setting.")],
    out: Annotated[Path, typer.Option("--out", help="Directory of the search; an interrupted one resumes.")],
    model: Annotated[str, typer.Option("--model", help="The model that is fitted.")] = "rqtransformer",
    trials: Annotated[int, typer.Option("--trials", help="Total number of trials.")] = 20,
    metric: Annotated[str, typer.Option("--metric", help="Metric on validation.")] = "ndcg@10",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the draws.")] = 0,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Fit a model with settings drawn from a space, and compare them on validation, never on test.

    A line of the space is `recommenders.sasrec.learning_rate = { low = 1e-4, high = 1e-2, log = true }` or
    `recommenders.sasrec.d_model = [64, 128]`. The first trial has the settings without a search. Every trial
    is a run directory; `best.toml` holds the best settings, and `trials.json` all trials. After Ctrl-C the
    same command resumes, even within a training.

    For example:

    `sidkit tune ml-100k --model sasrec --space space.toml --trials 20 --out runs/tuned`

    `sidkit run ml-100k --config runs/tuned/best.toml --out runs/best`
    """
    console = Console(markup=False)
    given = {} if config is None else read_tables(config)
    base = configured(
        given,
        {"data": {"source": source}, "recommenders": {"use": [model]}},
        preset=preset,
        assignments=settings or [],
        console=console,
    )
    with Watcher(console) as watcher:
        try:
            found = tune(
                base,
                read_space(space, base),
                out,
                model=model,
                trials=trials,
                metric=metric,
                seed=seed,
                observer=watcher,
            )
        except KeyboardInterrupt:
            Console(stderr=True, markup=False).print(
                "interrupted; nothing is lost, the same command continues", highlight=False
            )
            raise typer.Exit(130) from None
    keys = list(found[0].settings)
    table = Table("trial", f"{metric}, validation", *(key.replace(".", ".\n") for key in keys))
    for trial in found:
        value = "–" if trial.value is None else f"{trial.value:.4f}"
        table.add_row(trial.directory.name, value, *(_shown(trial.settings.get(key)) for key in keys))
    console.print(table)
    console.print(f"best settings in {out / 'best.toml'}", highlight=False, soft_wrap=True)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
