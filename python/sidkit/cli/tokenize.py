"""`sidkit tokenize`: items become Semantic IDs."""

from dataclasses import astuple
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sidkit.cli.groups import with_groups
from sidkit.cli.options import Source
from sidkit.cli.pipeline import RunOptions, run_until
from sidkit.errors import ConfigError, RunDirectoryError

__all__ = ["NAME", "command"]

NAME = "tokenize"


@with_groups
def command(
    source: Source,
    options: RunOptions,
    append: Annotated[
        Path | None,
        typer.Option(
            "--append",
            metavar="ITEMS",
            help="New items, a Parquet or CSV file or a folder with `items`: the frozen tokenizer of the run "
            "encodes them, and no other Semantic ID changes.",
        ),
    ] = None,
    vectors: Annotated[
        Path | None,
        typer.Option(
            "--vectors", help="A file of the vectors of the items of --append, see `embed.vectors`."
        ),
    ] = None,
) -> None:
    """Run a pipeline up to the Semantic IDs: data, embed, quantize, ids; or add new items to those of a run.

    For example:

    `sidkit tokenize ml-100k --out runs/tokens --set tokenize.codebook_size=64`

    `sidkit tokenize runs/tokens --append new-items.parquet`
    """
    if append is not None:
        if any(astuple(options)):
            raise ConfigError(
                "--append takes the settings of the run; give it the run, items and --vectors alone"
            )
        _append(Path(source), append, vectors)
        return
    if vectors is not None:
        raise ConfigError("--vectors is for --append; a run takes its own with --set embed.vectors=FILE")
    run_until("ids", source, options)


def _append(run: Path, items: Path, vectors: Path | None) -> None:
    from sidkit.cli.progress import Watcher
    from sidkit.run.appended import append_to_run

    console = Console(markup=False)
    if not (run / "run.toml").is_file():
        raise RunDirectoryError(f"`{run}` is no run; make one first: sidkit tokenize SOURCE --out {run}")
    with Watcher(console) as watcher:
        appended = append_to_run(run, items, vectors=vectors, progress=watcher.started("embed"))
    console.print(
        f"{appended.count:,} items beyond those the run was made of, {appended.moved:,} of them moved from "
        f"full codes to the next-nearest; all Semantic IDs: {appended.sids}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        "tiger, actionpiece and decoderonly can recommend them; rqtransformer, sasrec and popularity know "
        "only the items they were trained on",
        highlight=False,
        soft_wrap=True,
    )
