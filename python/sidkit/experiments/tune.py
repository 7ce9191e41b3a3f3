"""Hyperparameter search: each trial is a run directory, evaluated on validation and never on test.

The search is Optuna's TPE (Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011).
Trials are recorded in `trials.log`, so that an interrupted search resumes, even within a training.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from sidkit._arguments import Seed, checked
from sidkit._extras import require
from sidkit._files import write_text
from sidkit._registry import nearest
from sidkit.errors import ConfigError, RunDirectoryError
from sidkit.run.config import RunConfig, build_config, flatten, read_tables, write_config
from sidkit.run.directory import RunDirectory
from sidkit.run.engine import Observer
from sidkit.run.opened import open_run
from sidkit.run.pipeline import run_pipeline
from sidkit.run.stages.context import Context
from sidkit.run.stages.files import model_path

__all__ = ["Range", "Trial", "read_space", "search", "tune"]

Value = int | float | str | bool


class _Suggests(Protocol):
    """The trial of Optuna that draws values."""

    def suggest_categorical(self, key: str, choices: Any) -> Any: ...
    def suggest_float(self, key: str, low: float, high: float, *, log: bool) -> Any: ...
    def suggest_int(self, key: str, low: int, high: int, *, log: bool) -> Any: ...


@checked
@dataclass(frozen=True)
class Range:
    """Range of one setting: numbers between two ends, or a list of choices.

    Attributes:
        low: least number; an integer if `low` and `high` are integers.
        high: greatest number.
        log: draw from a logarithmic scale.
        choices: the values, if it is not a range of numbers.
    """

    low: int | float = 0
    high: int | float = 0
    log: bool = False
    choices: tuple[Value, ...] = ()

    def suggest(self, trial: _Suggests, key: str) -> Value:
        """Draw a value by an Optuna trial."""
        if self.choices:
            chosen: Value = trial.suggest_categorical(key, self.choices)
            return chosen
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        draw: Callable[..., Any] = trial.suggest_int if whole else trial.suggest_float
        drawn: Value = draw(key, self.low, self.high, log=self.log)
        return drawn

    def contains(self, value: object) -> bool:
        """Return whether `suggest` can draw a value."""
        if self.choices:
            return value in self.choices
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= cast("float", value) <= self.high


@dataclass(frozen=True)
class Trial:
    """One set of settings and its result.

    Attributes:
        number: from 0.
        settings: the drawn settings, `{"section.key": value}`.
        value: best value on validation; None if the settings contradict each other, or it is unfinished.
        directory: its run directory.
    """

    number: int
    settings: Mapping[str, Value]
    value: float | None
    directory: Path


@checked
def read_space(path: str | os.PathLike[str], config: RunConfig | None = None) -> dict[str, Range]:
    """Read a search space: a TOML file with a range for each setting.

    `recommenders.sasrec.learning_rate = { low = 1e-4, high = 1e-2, log = true }` is a range of numbers,
    integers if both ends are; `recommenders.sasrec.d_model = [64, 128]` lists choices.

    Args:
        path: the file.
        config: settings of the trials, which must have all settings of the space; by default those of a run
            without settings.

    Raises:
        ConfigError: if there is no file, it is not such a TOML file, or a key is no setting of a run.
    """
    if not Path(path).is_file():
        raise ConfigError(f"there is no file `{path}` of a search space; {_EXAMPLE}")
    space: dict[str, Range] = {}
    _collect(read_tables(path), "", space, Path(path))
    if not space:
        raise ConfigError(f"`{path}` has no setting to search over; {_EXAMPLE}")
    known = flatten(config or RunConfig())
    for key in space:
        if key not in known:
            raise ConfigError(f"`{path}`: there is no setting `{key}`{nearest(key, known)}")
    return space


@checked
def search(
    space: Mapping[str, Range],
    objective: Callable[[int, Mapping[str, Value]], float],
    directory: str | os.PathLike[str],
    *,
    trials: int,
    seed: Seed = 0,
    first: Mapping[str, Value] | None = None,
    identity: str = "",
) -> list[Trial]:
    """Search for settings with a high objective; a search in the same directory resumes.

    Args:
        space: the range of each setting.
        objective: returns the value of a trial, given its number and settings. A `ConfigError` fails only the
            trial; after any other exception the next call repeats the trial.
        directory: directory of `trials.log` and of the trials, `trial-000`, ….
        trials: total number of trials, including those of earlier calls.
        seed: seed of the draws; trial n draws with seed + n, so that an interrupt changes nothing.
        first: settings of the first trial, if the space contains them; they are drawn if None.
        identity: what is searched for; a search of another identity is refused.

    Returns:
        All trials, best first, those without a value last.

    Raises:
        ConfigError: if `trials` is below 1.
        RunDirectoryError: if the directory holds another search.
    """
    require("optuna", extra="tune")
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if trials < 1:
        raise ConfigError(f"a search needs at least one trial, got {trials}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    place = Path(directory)
    place.mkdir(parents=True, exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(place / "trials.log")))
    study = optuna.create_study(storage=storage, study_name="tune", direction="maximize", load_if_exists=True)
    described = json.dumps([identity, {key: repr(range_) for key, range_ in sorted(space.items())}, seed])
    if study.user_attrs.setdefault("search", described) != described:
        raise RunDirectoryError(
            f"`{place}` holds a search over another space, data or settings; choose another directory with "
            "--out"
        )
    study.set_user_attr("search", described)
    possible = first is not None and all(key in first and space[key].contains(first[key]) for key in space)
    if not study.trials and possible:
        study.enqueue_trial(dict(first or {}))
    drawn = [trial for trial in study.trials if trial.state != optuna.trial.TrialState.WAITING]
    running = [trial.number for trial in drawn if not trial.state.is_finished()]
    for number in [*running, *range(len(drawn), trials)]:
        if number in running:
            settings = dict(study.trials[number].user_attrs.get("settings", {}))
        else:
            study.sampler = optuna.samplers.TPESampler(seed=seed + number)
            trial = study.ask()
            settings = {key: range_.suggest(trial, key) for key, range_ in space.items()}
            trial.set_user_attr("settings", settings)
        try:
            if len(settings) < len(space):  # it was interrupted while it was drawn
                raise ConfigError("no settings were drawn")
            study.tell(number, objective(number, settings))
        except ConfigError:
            study.tell(number, state=optuna.trial.TrialState.FAIL)
    found = [
        Trial(
            trial.number, trial.user_attrs.get("settings", {}), trial.value, _trial_path(place, trial.number)
        )
        for trial in study.trials
    ]
    return sorted(found, key=lambda trial: (trial.value is None, -(trial.value or 0.0), trial.number))


@checked
def tune(
    config: RunConfig,
    space: Mapping[str, Range],
    directory: str | os.PathLike[str],
    *,
    model: str,
    trials: int = 20,
    metric: str = "ndcg@10",
    seed: Seed = 0,
    observer: Observer | None = None,
) -> list[Trial]:
    """Fit a model with settings drawn from a space, and compare them by the best validation metric.

    Test users are not used: every trial is a run up to its training. The first trial has the settings of
    `config`, if the space contains them. The best settings are written to `best.toml`, which can be run as a
    configuration, and all trials to `trials.json`.

    Args:
        config: settings of all trials, except for those of the space.
        space: see `read_space`.
        directory: directory of the search; each trial is a run directory `trial-000`, … in it.
        model: the model that is fitted.
        trials: total number of trials, including those of an earlier call in the same directory.
        metric: metric on validation, `recall@10`, `ndcg@10` or `mrr@10`.
        seed: seed of the draws.
        observer: notified of the stages of each trial.

    Returns:
        All trials, best first.

    Raises:
        ConfigError: if the model or the metric is unknown, or no trial got a value.
        RunDirectoryError: if the directory holds another search.
        KeyboardInterrupt: after Ctrl-C; the same call resumes.
    """
    if metric not in ("recall@10", "ndcg@10", "mrr@10"):
        raise ConfigError(f"validation measures recall@10, ndcg@10 and mrr@10, not `{metric}`")
    base = build_config(config.model_dump(mode="json", exclude_none=True), {"recommenders": {"use": [model]}})
    if not base.recommenders[model].model_dump().keys() - {"method"}:
        raise ConfigError(f"`{model}` has nothing to tune: expected a model with settings")
    place = Path(directory)

    def configured(settings: Mapping[str, Value]) -> RunConfig:
        layers = [_nested(key, value) for key, value in settings.items()]
        return build_config(base.model_dump(mode="json", exclude_none=True), *layers)

    def objective(number: int, settings: Mapping[str, Value]) -> float:
        run = run_pipeline(configured(settings), _trial_path(place, number), until="train", observer=observer)
        return _validation_metric(run, model, metric)

    identity = json.dumps([flatten(base), model, metric], sort_keys=True)
    settings = flatten(base)
    first = {key: settings[key] for key in space}
    found = search(space, objective, place, trials=trials, seed=seed, first=first, identity=identity)
    if found[0].value is None:
        configured(found[0].settings)  # raises the reason
        raise ConfigError("no trial got a value")
    write_config(configured(found[0].settings), place / "best.toml")
    rows = [{"trial": each.number, "value": each.value, "settings": dict(each.settings)} for each in found]
    summary = {"model": model, "metric": metric, "untuned": first, "trials": rows}
    write_text(place / "trials.json", json.dumps(summary, indent=1) + "\n")
    return found


def _validation_metric(run: RunDirectory, model: str, metric: str) -> float:
    """Return the best value during a training, or that of a model that is fitted without steps."""
    if "history.json" in {Path(name).name for name in run.records[f"train.{model}"].outputs}:
        history = json.loads(run.output(f"train.{model}", f"{model_path(model)}/history.json").read_bytes())
        return max(float(entry["metrics"][metric]) for entry in history["evaluations"])
    opened = open_run(run.path)
    validation = Context(opened.config, run).split.validation
    return float(opened.recommender(model).evaluate(validation, ks=[10], exclude_seen=True)[metric])


_EXAMPLE = "a range is { low = 1e-4, high = 1e-2, log = true }, or a list of choices such as [64, 128]"


def _collect(tables: Mapping[str, Any], prefix: str, space: dict[str, Range], path: Path) -> None:
    for key, value in tables.items():
        name = f"{prefix}{key}"
        if isinstance(value, list) and value and all(isinstance(each, Value) for each in value):
            space[name] = Range(choices=tuple(value))
        elif isinstance(value, Mapping) and {"low", "high"} <= value.keys():
            space[name] = _range(name, value, path)
        elif isinstance(value, Mapping):
            _collect(value, f"{name}.", space, path)
        else:
            raise ConfigError(f"`{path}`: `{name}` is {value!r}; {_EXAMPLE}")


def _range(name: str, given: Mapping[str, Any], path: Path) -> Range:
    low, high, log = given["low"], given["high"], given.get("log", False)
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
    if given.keys() - {"low", "high", "log"} or not numbers or not isinstance(log, bool):
        raise ConfigError(f"`{path}`: `{name}` is {dict(given)}; {_EXAMPLE}")
    if not low < high or (log and low <= 0):
        raise ConfigError(f"`{path}`: `{name}` must have low < high, and 0 < low if log, it is {dict(given)}")
    return Range(low, high, log)


def _nested(key: str, value: Value) -> dict[str, Any]:
    tables: Any = value
    for part in reversed(key.split(".")):
        tables = {part: tables}
    return dict(tables)


def _trial_path(place: Path, number: int) -> Path:
    return place / f"trial-{number:03d}"
