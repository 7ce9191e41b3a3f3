"""Verbs that run stages: from their options to a configuration, a run, and its results on the terminal."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from sidkit._processes import leads
from sidkit.cli.options import Columns, ConfigFile, Force, Out, Preset, Settings
from sidkit.cli.progress import Watcher
from sidkit.cli.results import show_results
from sidkit.errors import ConfigError
from sidkit.run import RunConfig, build_config, read_tables, run_pipeline
from sidkit.run.config.presets import preset_shape
from sidkit.run.stages.context import load_source

__all__ = ["RunOptions", "configured", "run_until"]


@dataclass(frozen=True)
class RunOptions:
    """Options of every verb that runs stages.

    Attributes:
        out: the run directory.
        preset: settings to start from.
        config: a file of settings, which override the preset.
        settings: single settings, which override all others.
        columns: names of columns in the files.
        force: run finished stages again that have changed.
    """

    out: Out = None
    preset: Preset = None
    config: ConfigFile = None
    settings: Settings = None
    columns: Columns = None
    force: Force = False


def run_until(stage: str, source: str, options: RunOptions) -> None:
    """Run all stages up to `stage` and print where their results are.

    Args:
        stage: the last stage.
        source: a dataset, or a run directory, whose settings are then the starting point.
        options: options of the verb.

    Raises:
        SidkitError: raised by a stage.
        typer.Exit: with code 130 after Ctrl-C.
    """
    console = Console(markup=False, quiet=not leads())
    path, config = _resolve(source, options, console)
    console.print(f"{config.data.source} -> {path}", highlight=False)
    with Watcher(console) as watcher:
        try:
            directory = run_pipeline(config, path, until=stage, force=options.force, observer=watcher)
        except KeyboardInterrupt:
            where = f" in stage {watcher.stage}" if watcher.stage else ""
            again = f"sidkit run {path}" + (" --force" if options.force else "")
            Console(stderr=True, markup=False).print(
                f"interrupted{where}; nothing is lost, continue with: {again}",
                highlight=False,
                soft_wrap=True,
            )
            raise typer.Exit(130) from None
    show_results(directory, console)


def configured(
    *layers: Mapping[str, Any], preset: str | None, assignments: list[str], console: Console
) -> RunConfig:
    """Build a configuration; a preset chooses the shape of Semantic IDs by the size of the catalogue.

    The choice is printed, unless the layers or assignments set both levels and codebook size.
    """
    config = build_config(*layers, preset=preset, assignments=assignments)
    if preset is None:
        return config
    items = len(load_source(config.data).items)
    config = build_config(*layers, preset=preset, assignments=assignments, items=items)
    shape = preset_shape(preset, items)
    chosen = [getattr(config.tokenize, name, None) for name in shape._fields]
    if chosen == list(shape):
        console.print(f"preset {preset}: {shape.sentence(items)}", highlight=False, soft_wrap=True)
    return config


def _resolve(source: str, options: RunOptions, console: Console) -> tuple[Path, RunConfig]:
    given: dict[str, Any] = {} if options.config is None else read_tables(options.config)
    out, assignments = options.out, [*_columns(options.columns), *(options.settings or ())]
    run_file = Path(source) / "run.toml"
    if not run_file.is_file():
        layers = (given, {"data": {"source": source}})
        config = configured(*layers, preset=options.preset, assignments=assignments, console=console)
        return out or Path("runs") / Path(source).resolve().name, config
    if out is not None and out.resolve() != Path(source).resolve():
        raise ConfigError(
            f"`{source}` is a run directory, so its results go there; leave --out away, or name its dataset"
        )
    if options.preset is not None:
        raise ConfigError(f"`{source}` is a run with its own settings; leave --preset away")
    return Path(source), build_config(read_tables(run_file), given, assignments=assignments)


def _columns(text: str | None) -> list[str]:
    """Turn `user_id=reviewerID,item_id=asin` into assignments of `data.columns`."""
    assignments = []
    for pair in (text or "").split(",") if text else ():
        name, equals, column = (part.strip() for part in pair.partition("="))
        if not equals or not name or not column:
            raise ConfigError(
                f"--columns must be NAME=COLUMN pairs separated by commas; got `{text}`. "
                "Example: --columns user_id=reviewerID,item_id=asin"
            )
        assignments.append(f'data.columns.{name}="{column}"')
    return assignments
