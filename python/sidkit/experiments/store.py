"""Storage of the results of runs: the small files that tables and comparisons need, without weights."""

import dataclasses
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from sidkit._arguments import Seed, checked
from sidkit._files import atomic_directory
from sidkit.errors import ConfigError, RunDirectoryError
from sidkit.evaluate import Metrics, Predictions, TargetRanks
from sidkit.report import read_history
from sidkit.report.tables.stored import stored_name
from sidkit.run.config import RunConfig, flatten, read_config
from sidkit.run.directory import RunDirectory
from sidkit.run.stages.files import METRICS, model_path

__all__ = ["store_run"]


@checked
def store_run(
    run: str | os.PathLike[str],
    results: str | os.PathLike[str],
    *,
    variant: str = "",
    models: Sequence[str] = (),
    force: bool = False,
) -> list[Path]:
    """Store the results of each model of a finished run in a directory; see `sidkit.report.tables.stored`.

    Args:
        run: the run directory.
        results: directory of all stored results, such as `benches/results`; the dataset's name is appended.
        variant: one word for the difference of the models from their defaults, such as `attention`.
        models: names of trained models of the run; all if empty.
        force: replace results that are stored under the same name.

    Returns:
        The directories, in the order of the run's models.

    Raises:
        RunDirectoryError: if the run is not evaluated, is not current, or has no such model.
        ConfigError: if a result is stored under that name already, or `variant` is not one word.
    """
    directory = RunDirectory(run)
    if not directory.config_path.is_file():
        raise RunDirectoryError(f"there is no run in `{run}`: make one with `sidkit run SOURCE --out {run}`")
    if "evaluate" not in directory.records:
        raise RunDirectoryError(f"there are no results in `{run}` yet: continue with `sidkit run {run}`")
    settings = flatten(config := read_config(directory.config_path))
    chosen = list(models) or list(config.recommenders.use)
    unknown = [name for name in chosen if f"decode.{name}" not in directory.records]
    if unknown:
        raise RunDirectoryError(f"the run `{run}` has no results of `{unknown[0]}`")
    for stage in ("evaluate", *(f"{part}.{name}" for name in chosen for part in ("train", "decode"))):
        directory.check(stage, settings)
    metrics = Metrics.load(directory.output("evaluate", METRICS))
    targets = {}
    for name in chosen:
        seed = getattr(config.recommenders[name], "seed", metrics.protocol.seeds[0])
        place = Path(results, metrics.protocol.dataset, stored_name(name, variant, metrics.protocol, seed))
        if place.exists() and not force:
            raise ConfigError(
                f"`{place}` is stored already; give this one a --variant, or pass --force to replace it"
            )
        targets[name] = (place, seed)
    for name, (place, seed) in targets.items():
        lists = [
            Predictions.load(directory.path / file) for file in directory.records[f"decode.{name}"].outputs
        ]
        with atomic_directory(place) as temporary:
            _only(metrics, config, name, {each.model for each in lists}, seed).save(temporary / METRICS)
            TargetRanks.of(lists, metrics.protocol.candidates).save(temporary / "ranks.parquet")
            shutil.copyfile(directory.config_path, temporary / "run.toml")
            history = directory.path / model_path(name) / "history.json"
            if history.is_file():
                read_history(history)
                shutil.copyfile(history, temporary / "history.json")
    return [place for place, _ in targets.values()]


def _only(metrics: Metrics, config: RunConfig, name: str, lists: set[str], seed: Seed) -> Metrics:
    """Return the metrics of one model, whose lists are named, without those of others."""
    uses_sids = config.recommenders[name].build().uses_sids

    def kept(seconds: dict[str, float]) -> dict[str, float]:
        return {stage: value for stage, value in seconds.items() if stage.partition(".")[2] in ("", name)}

    protocol = metrics.protocol
    return dataclasses.replace(
        metrics,
        protocol=dataclasses.replace(
            protocol,
            seeds=(seed,),
            beam=protocol.beam if uses_sids else None,
            collisions=protocol.collisions if uses_sids else None,
            reassign=protocol.reassign if uses_sids else "first",
        ),
        results=[each for each in metrics.results if each.model in lists],
        tokenizer=metrics.tokenizer if uses_sids else {},
        seconds=kept(metrics.seconds),
        diagnostics={model: facts for model, facts in metrics.diagnostics.items() if model == name},
        training={model: facts for model, facts in metrics.training.items() if model == name},
        cpu_seconds=kept(metrics.cpu_seconds),
    )
