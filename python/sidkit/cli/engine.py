"""Verbs that apply a function of batches to Parquet files on an engine."""

from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sidkit.cli.progress import Watcher
from sidkit.errors import ConfigError
from sidkit.scale import ENGINES, BatchFunction, Job, map_parquet

__all__ = ["EngineOptions", "check_alone", "run_on_engine"]


@dataclass(frozen=True)
class EngineOptions:
    """Options of verbs that work on Parquet files of any size.

    Attributes:
        engine: name of the engine.
        using: run directory, tokenizer or recommender that the function uses.
        workers: number of worker processes.
        address: address of the cluster.
    """

    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            help="Read SOURCE as Parquet files of any size and write Parquet files to --out: `local`, `ray` "
            "or `spark`.",
        ),
    ] = None
    using: Annotated[
        Path | None,
        typer.Option("--using", help="With --engine: the run, tokenizer file or saved model to use."),
    ] = None
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="With --engine: number of worker processes.")
    ] = None
    address: Annotated[
        str | None, typer.Option("--address", help="With --engine: address of the Ray or Spark cluster.")
    ] = None

    @property
    def given(self) -> bool:
        """True if any option is given.

        Raises:
            ConfigError: if an option needs `engine`, which is not given.
        """
        if self.engine is None and any(value is not None for value in astuple(self)):
            raise ConfigError(
                "--using, --workers and --address belong to --engine: expected `local`, `ray` or `spark`, "
                "got none. Name an engine, or leave them out."
            )
        return self.engine is not None


def run_on_engine(
    function: BatchFunction, source: str, out: Path | None, options: EngineOptions, *, batch_size: int = 8192
) -> Job:
    """Apply a function of batches to the Parquet files of SOURCE, with progress.

    Raises:
        ConfigError: if there is no `out`.
        SidkitError: raised by the job.
    """
    if out is None:
        raise ConfigError("--engine writes Parquet files: expected --out DIRECTORY, got none. Name one.")
    console = Console(markup=False)
    engine = ENGINES[str(options.engine)](workers=options.workers, address=options.address)
    with Watcher(console) as watcher:
        try:
            job = map_parquet(
                function, source, out, engine=engine, batch_size=batch_size, progress=watcher.started("parts")
            )
        except KeyboardInterrupt:
            Console(stderr=True, markup=False).print(
                f"interrupted; finished parts are in {out}, continue with the same command",
                highlight=False,
                soft_wrap=True,
            )
            raise typer.Exit(130) from None
    console.print(
        f"{job.rows:,} rows in {job.parts} parts -> {job.out} ({job.written} written now)",
        highlight=False,
        soft_wrap=True,
    )
    return job


def check_alone(given: dict[str, object]) -> None:
    """Raise ConfigError if an option is given that has no meaning together with --engine."""
    for name, value in given.items():
        if value not in (None, False):
            raise ConfigError(f"{name} has no meaning with --engine. Leave one of them out.")
