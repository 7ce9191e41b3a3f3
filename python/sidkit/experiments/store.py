"""Keeping the results of a run: small files that a table, a comparison and a reader need, and no weights."""

import dataclasses
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sidkit._files import atomic_folder
from sidkit.errors import ConfigError, RunDirectoryError
from sidkit.run.config import GENERATIVE_MODELS
from sidkit.run.config.settings import flatten, read_config
from sidkit.run.directory import RunDirectory

if TYPE_CHECKING:
    from sidkit.evaluate import Metrics

__all__ = ["store_run"]


def store_run(
    run: str | os.PathLike[str],
    results: str | os.PathLike[str],
    *,
    variant: str = "",
    models: Sequence[str] = (),
    force: bool = False,
) -> list[Path]:
    """Keep what each model of a finished run has reached, a folder for each; see `sidkit.report.stored`.

    Args:
        run: the run directory.
        results: where to, by custom `benches/results`; the name of the dataset comes below it.
        variant: one word for what sets the models apart from their default, such as `joint`.
        models: which of the run's trained models; all if empty.
        force: write over what is stored under the same name.

    Returns:
        The folders, in the order of the run's models.

    Raises:
        RunDirectoryError: if the run is not evaluated, is not current, or has no such model.
        ConfigError: if a result is stored under that name already, or `variant` is not one word.
    """
    from sidkit.evaluate import Metrics, Predictions, TargetRanks
    from sidkit.report import read_history
    from sidkit.report.stored import stored_name

    folder = RunDirectory(run)
    if not folder.config_path.is_file():
        raise RunDirectoryError(f"there is no run in `{run}`: make one with `sidkit run SOURCE --out {run}`")
    if "evaluate" not in folder.records:
        raise RunDirectoryError(f"there are no results in `{run}` yet: go on with `sidkit run {run}`")
    settings = flatten(config := read_config(folder.config_path))
    wanted = list(models or config.models.use)
    unknown = [name for name in wanted if f"decode.{name}" not in folder.records]
    if unknown:
        raise RunDirectoryError(f"the run `{run}` has no results of `{unknown[0]}`")
    for stage in ("evaluate", *(f"{part}.{name}" for name in wanted for part in ("train", "decode"))):
        folder.check(stage, settings)
    metrics = Metrics.load(folder.output("evaluate", "metrics.json"))
    targets = {}
    for name in wanted:
        training = getattr(config.train, name, None)
        seed = metrics.protocol.seeds[0] if training is None else training.seed
        place = Path(results, metrics.protocol.dataset, stored_name(name, variant, metrics.protocol, seed))
        if place.exists() and not force:
            raise ConfigError(
                f"`{place}` is stored already; give this one a --variant, or pass --force to write over it"
            )
        targets[name] = (place, seed)
    for name, (place, seed) in targets.items():
        lists = [Predictions.load(folder.path / file) for file in folder.records[f"decode.{name}"].outputs]
        with atomic_folder(place) as temporary:
            _of_model(metrics, name, seed).save(temporary / "metrics.json")
            TargetRanks.of(lists, metrics.protocol.candidates).save(temporary / "ranks.parquet")
            shutil.copyfile(folder.config_path, temporary / "run.toml")
            history = folder.path / "models" / name / "history.json"
            if history.is_file():
                read_history(history)
                shutil.copyfile(history, temporary / "history.json")
    return [place for place, _ in targets.values()]


def _of_model(metrics: "Metrics", name: str, seed: int) -> "Metrics":
    """Leave out what the metrics tell of other models."""
    generator = name in GENERATIVE_MODELS

    def kept(seconds: dict[str, float]) -> dict[str, float]:
        return {stage: value for stage, value in seconds.items() if stage.partition(".")[2] in ("", name)}

    protocol = metrics.protocol
    return dataclasses.replace(
        metrics,
        protocol=dataclasses.replace(
            protocol,
            seeds=(seed,),
            beam=protocol.beam if generator else None,
            collisions=protocol.collisions if generator else None,
            reassign=protocol.reassign if generator else "first",
        ),
        results=[result for result in metrics.results if result.model.partition("-")[0] == name],
        tokenizer=metrics.tokenizer if generator else {},
        seconds=kept(metrics.seconds),
        diagnostics={model: told for model, told in metrics.diagnostics.items() if model == name},
        training={model: told for model, told in metrics.training.items() if model == name},
        cpu_seconds=kept(metrics.cpu_seconds),
    )
