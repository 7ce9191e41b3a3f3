"""What the verbs that run stages have in common: from their options to a run, and back to a person."""

from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from sidkit._processes import leads
from sidkit.cli.options import ConfigFile, Force, Out, Preset, Settings
from sidkit.cli.progress import Watcher
from sidkit.cli.results import show_results
from sidkit.errors import ConfigError
from sidkit.run import RunConfig, build_config, read_tables, run_pipeline

__all__ = ["RunOptions", "run_until"]


@dataclass(frozen=True)
class RunOptions:
    """The options of every verb that runs stages.

    Attributes:
        out: the run directory.
        preset: settings to start from.
        config: a file of settings over those.
        settings: settings over all.
        force: run finished stages again that have changed.
    """

    out: Out = None
    preset: Preset = None
    config: ConfigFile = None
    settings: Settings = None
    force: Force = False


def run_until(stage: str, source: str, options: RunOptions) -> None:
    """Run all stages up to `stage` and print where their results are.

    Args:
        stage: the last stage.
        source: a data set, or a run directory whose settings are then the starting point.
        options: of the verb.

    Raises:
        SidkitError: whatever the stages raise.
        typer.Exit: with code 130 after Ctrl-C.
    """
    path, config = _resolve(source, options)
    console = Console(markup=False, quiet=not leads())
    console.print(f"{config.data.source} -> {path}", highlight=False)
    with Watcher(console) as watcher:
        try:
            folder = run_pipeline(config, path, until=stage, force=options.force, observer=watcher)
        except KeyboardInterrupt:
            where = f" in stage {watcher.stage}" if watcher.stage else ""
            Console(stderr=True, markup=False).print(
                f"interrupted{where}; nothing is lost, go on with: sidkit run {path}",
                highlight=False,
                soft_wrap=True,
            )
            raise typer.Exit(130) from None
    show_results(folder, console)


def _resolve(source: str, options: RunOptions) -> tuple[Path, RunConfig]:
    given = {} if options.config is None else read_tables(options.config)
    out, preset, assignments = options.out, options.preset, options.settings or ()
    run_file = Path(source) / "run.toml"
    if not run_file.is_file():
        path = out or Path("runs") / Path(source).resolve().name
        return path, build_config(given, {"data": {"source": source}}, preset=preset, assignments=assignments)
    if out is not None and out.resolve() != Path(source).resolve():
        raise ConfigError(
            f"`{source}` is a run directory, so its results go there; leave --out away, or name its data set"
        )
    if preset is not None:
        raise ConfigError(f"`{source}` is a run with settings of its own; leave --preset away")
    return Path(source), build_config(read_tables(run_file), given, assignments=assignments)
