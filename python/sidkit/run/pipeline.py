"""The pipeline: which stages a configuration asks for, what each one uses, and how they are run."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from sidkit._processes import leads
from sidkit.errors import ConfigError
from sidkit.run.assistants import assist, helped
from sidkit.run.config import GENERATIVE_MODELS, ModelName, RunConfig, reads_content
from sidkit.run.config.settings import flatten, write_config
from sidkit.run.directory import RunDirectory
from sidkit.run.engine import Observer, Outcome, Quiet, Stage, Task, check_settings, execute
from sidkit.run.stages import Work
from sidkit.run.tokenizers import make_tokenizer

__all__ = ["STAGES", "run_pipeline"]

STAGES = ("data", "embed", "tokenize", "ids", "train", "decode", "evaluate", "report")
_SID_STAGES = ("embed", "tokenize", "ids")
# Settings of trainings that came later, where they change nothing: runs made before there was a choice stay
# current.
_AS_BEFORE = (
    ("loss", "full"),
    ("device", "auto"),
    ("shuffle_ties", False),
    ("label_smoothing", 0.0),
    ("token_masking", 0.0),
)
# Settings that change what is told of a training, not what is trained.
_OF_TELLING = ("measure_gemm",)
_OF_SAMPLES = ("negatives", "negatives_by")
# Settings of SASRec that have no effect on the vectors of behaviour which it gives a tokenizer.
_NOT_OF_VECTORS = (
    "models.sasrec.d_model",
    "train.sasrec.seed",
    "train.sasrec.patience",
    "train.sasrec.evaluate_every_steps",
    "train.sasrec.validate_users",
    "train.sasrec.checkpoint_every_seconds",
)


def run_pipeline(
    config: RunConfig,
    path: str | os.PathLike[str],
    *,
    until: str = "report",
    force: bool = False,
    observer: Observer | None = None,
) -> RunDirectory:
    """Bring a run directory up to date with a configuration.

    A stage whose settings and inputs have not changed is not run again, and an interrupted training goes on
    from its last checkpoint. Embeddings, tokenizer and table pass between stages as files of the folder, so
    that no stage holds what it does not use.

    Among processes that `torchrun` started the first runs the stages, and the others help it to train.

    Args:
        config: all settings; written to `run.toml` in the folder.
        path: the run directory; made if missing.
        until: the last stage to run, one of `STAGES`.
        force: run a finished stage again whose settings or inputs have changed, instead of refusing.
        observer: told of every stage, see `Observer`.

    Returns:
        The folder; its `records` tell what every stage made, how long it took and how much memory.

    Raises:
        RunDirectoryError: if the folder was made with other settings and `force` is not given, if another
            process writes to it, or if it is not a run.
        ConfigError: if `until` is not a stage.
        SidkitError: whatever a stage raises; what was finished before stays; a new folder goes if that is
            nothing.

    Example:
        >>> folder = run_pipeline(build_config(preset="demo"), "runs/ml-100k")  # doctest: +SKIP
        >>> list(folder.records)  # doctest: +SKIP
        ['data', 'embed', 'tokenize', 'ids', 'train.popularity', 'train.sasrec', ...
    """
    if until not in STAGES:
        raise ConfigError(f"there is no stage `{until}`; the stages are {', '.join(STAGES)}")
    if not leads():
        return assist(config, path)
    with RunDirectory(path) as folder, helped():
        stages = plan(config, Work(config, folder), until)
        if not force:
            check_settings(stages, folder)
        if any(stage.name == "tokenize" for stage in stages):
            make_tokenizer(config.tokenize)  # so that a contradiction is told before anything is computed
        write_config(config, folder.config_path)
        execute(stages, folder, observer or Quiet(), force=force)
    return folder


def plan(config: RunConfig, work: Work, until: str = "report") -> list[Stage]:
    """List the stages that a configuration asks for, in order, up to and with `until`."""
    models = config.models.use
    with_sids = bool(GENERATIVE_MODELS & set(models)) or until in _SID_STAGES
    settings = _settings(config, "data")
    if config.data.unknown_items == "error":
        # As if there were no choice, so that runs made before there was one stay current.
        del settings["data.unknown_items"]
    stages = [Stage("data", settings, (), work.data, work.source_files)]
    if with_sids:
        stages += [
            Stage("embed", _settings(config, "embed"), ("data",), work.embed, work.vector_file),
            _tokenize(config, work),
            Stage("ids", _ids_settings(config), ("data", "tokenize"), work.ids),
        ]
    for name in models:
        inputs: tuple[str, ...] = ("data", "ids") if name in GENERATIVE_MODELS else ("data",)
        if reads_content(config, name):
            inputs = ("data", "embed", "ids")
        settings = _settings(config, f"models.{name}", f"train.{name}")
        stages.append(Stage(f"train.{name}", settings, inputs, _bound(work.train, name)))
    for name in models:
        inputs = ("data", f"train.{name}")
        stages.append(Stage(f"decode.{name}", _settings(config, "decode"), inputs, _bound(work.decode, name)))
    decoded = tuple(f"decode.{name}" for name in models)
    settings = _settings(config, "evaluate") | {"models.use": list(models)}
    stages.append(Stage("evaluate", settings, ("data", *decoded), work.evaluate, cheap=True))
    stages.append(Stage("report", {}, ("evaluate",), work.report, cheap=True))
    last = STAGES.index(until)
    return [stage for stage in stages if STAGES.index(stage.name.partition(".")[0]) <= last]


def _tokenize(config: RunConfig, work: Work) -> Stage:
    """The stage that fits the tokenizer; it reads the data only if it learns from more than vectors."""
    settings = _given(_settings(config, "tokenize"))
    # As if there were no choice, so that runs made before there was one stay current.
    if config.tokenize.behaviour_from == "pmi":
        del settings["tokenize.behaviour_from"]
    if config.tokenize.behaviour_from == "sasrec":
        of_sasrec = _settings(config, "models.sasrec", "train.sasrec")
        settings |= {key: value for key, value in of_sasrec.items() if key not in _NOT_OF_VECTORS}
    if not config.tokenize.learns_from_histories:
        for key in ("vectors", "behaviour_weight", "behaviour_dim", "behaviour_window"):
            del settings[f"tokenize.{key}"]
    more = config.tokenize.learns_from_histories or config.tokenize.learns_from_texts
    return Stage("tokenize", settings, ("data", "embed") if more else ("embed",), work.tokenize)


def _ids_settings(config: RunConfig) -> dict[str, Any]:
    settings = _settings(config, "ids")
    if config.ids.reassign == "first":
        # As if there were no choice, so that runs made before there was one stay current.
        del settings["ids.reassign"]
    return settings


def _settings(config: RunConfig, *sections: str) -> dict[str, Any]:
    prefixes = tuple(f"{section}." for section in sections)
    settings = {key: value for key, value in flatten(config).items() if key.startswith(prefixes)}
    for key in [key for key in settings if key.startswith("train.")]:
        model, _, name = key.removeprefix("train.").partition(".")
        unused = name in _OF_TELLING or (name in _OF_SAMPLES and _is_full(config, model))
        if unused or (name, settings[key]) in _AS_BEFORE:
            del settings[key]
    return settings


def _is_full(config: RunConfig, model: str) -> bool:
    """Whether a model's softmax is over all items, so that nothing is sampled."""
    return bool(getattr(config.train, model).loss == "full")


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without those that are unset, so that runs made before there was such a key stay current."""
    return {key: value for key, value in settings.items() if value is not None}


def _bound(work: Callable[[ModelName, Task], Outcome], model: ModelName) -> Callable[[Task], Outcome]:
    return lambda task: work(model, task)
