"""`sidkit tokenize`: Semantic IDs."""

from dataclasses import astuple
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sidkit.cli.engine import EngineOptions, check_alone, run_on_engine
from sidkit.cli.groups import with_groups
from sidkit.cli.options import Source
from sidkit.cli.pipeline import RunOptions, run_until
from sidkit.cli.progress import Watcher
from sidkit.errors import ConfigError, RunDirectoryError
from sidkit.run.appended import append_to_run
from sidkit.scale import TokenizeBatch, resolve_suffixes

__all__ = ["command"]


@with_groups
def command(
    source: Source,
    options: RunOptions,
    engine: EngineOptions,
    append: Annotated[
        Path | None,
        typer.Option(
            "--append",
            metavar="ITEMS",
            help="New items, a Parquet or CSV file or a directory with `items`: the frozen tokenizer of the "
            "run encodes them, and no other Semantic ID changes.",
        ),
    ] = None,
    vectors: Annotated[
        Path | None,
        typer.Option(
            "--vectors", help="A file of the vectors of the items of --append, see `embed.vectors`."
        ),
    ] = None,
) -> None:
    """Run a pipeline up to the Semantic IDs (data, embed, tokenize, ids), or append new items to a run.

    Items that were appended before are skipped, so an append may be repeated. With --engine, the vectors of
    Parquet files (columns `item_id` and `vector`) are tokenized, and collisions get a suffix.

    For example:

    `sidkit tokenize ml-100k --out runs/tokens --set tokenize.codebook_size=64`

    `sidkit tokenize runs/tokens --append new-items.parquet`

    `sidkit tokenize vectors/ --engine ray --using runs/tokens --out sids/`
    """
    if engine.given:
        check_alone(
            {
                "--preset": options.preset,
                "--config": options.config,
                "--set": options.settings,
                "--columns": options.columns,
                "--force": options.force,
                "--append": append,
                "--vectors": vectors,
            }
        )
        _on_engine(source, options.out, engine)
        return
    if append is not None:
        if any(astuple(options)):
            raise ConfigError(
                "--append takes the settings of the run; give it only the run, items and --vectors"
            )
        _append(Path(source), append, vectors)
        return
    if vectors is not None:
        raise ConfigError("--vectors is for --append; a run takes its own with --set embed.vectors=FILE")
    run_until("ids", source, options)


def _on_engine(source: str, out: Path | None, engine: EngineOptions) -> None:
    if engine.using is None:
        raise ConfigError(
            "--engine needs a fitted tokenizer: expected --using RUN or a tokenizer file, got none. Name one."
        )
    function = TokenizeBatch(engine.using, threads=None if engine.workers in (None, 1) else 1)
    codes = None if out is None else out / "_codes"
    job = run_on_engine(function, source, codes, engine)
    console = Console(markup=False)
    with Watcher(console) as watcher:
        resolved = resolve_suffixes(
            job.out, str(out), function.tokenizer.codebook_sizes, progress=watcher.started("suffixes")
        )
    console.print(
        f"{resolved.items:,} Semantic IDs of the sizes {resolved.sizes} -> {out}; {resolved.collisions:,} "
        "items needed a suffix above 0",
        highlight=False,
        soft_wrap=True,
    )


def _append(run: Path, items: Path, vectors: Path | None) -> None:
    console = Console(markup=False)
    if not (run / "run.toml").is_file():
        raise RunDirectoryError(f"`{run}` is no run; make one first: sidkit tokenize SOURCE --out {run}")
    with Watcher(console) as watcher:
        appended = append_to_run(run, items, vectors=vectors, progress=watcher.started("embed"))
    lines = (
        f"{appended.new:,} new items; {appended.count:,} items in all were appended to the run, "
        f"{appended.moved:,} of them moved from full codes to the next-nearest; all Semantic IDs: "
        f"{appended.sids}",
        "rqtransformer, tiger, actionpiece and decoderonly can recommend them; sasrec and popularity know "
        "only the items that they were trained on",
    )
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
