"""Training one model of a run: its recipe, the loop, and the validation that chooses its weights."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from sidkit._progress import Progress, silent
from sidkit.data import EvaluationSet
from sidkit.errors import ConfigError
from sidkit.evaluate import Predictions, user_metrics
from sidkit.recommenders.recipes import RECIPES, K, Material, Ranked
from sidkit.run.config import PassesTrainingConfig, TrainingConfig
from sidkit.train import History, TrainProgress, TrainSettings, fit

__all__ = ["Material", "train_model"]

# What decides beside the settings of the loop what is learned, where it is not as it always was.
_ALSO = ("shuffle_ties", "label_smoothing", "token_masking")
_COMMON = {field.name for field in dataclasses.fields(TrainSettings)}


def train_model(
    name: str,
    material: Material,
    sizes: Any = None,
    training: Any = None,
    folder: str | Path | None = None,
    *,
    data: str = "",
    progress: Progress = silent,
) -> tuple[Any, History]:
    """Train a model, and choose its weights by NDCG@10 on validation.

    Args:
        name: the model, one of `RECIPES`.
        material: what it is trained on.
        sizes: of the model, its section of `ModelsConfig`; its defaults if not given.
        training: settings of the training, its section of `TrainConfig`; its defaults if not given.
        folder: gets `model.safetensors`, `model.json` and `history.json`; a checkpoint in it is continued.
            Without one, only what is returned is left.
        data: fingerprint of what is trained on, so that no checkpoint is continued on other data.
        progress: told after every step.

    Returns:
        The model with the weights that were best on validation, and the course of the training.

    Raises:
        ConfigError: if no model of that name is trained, or it needs material that is not given.
        DataError: if there is no example to train on.
        RunDirectoryError: if the folder holds a checkpoint of another training.
    """
    if name not in RECIPES:
        raise ConfigError(f"there is no recipe for a model `{name}`; there are {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    sizes, training = sizes or recipe.sizes, training or recipe.training
    torch.manual_seed(training.seed)
    plan = recipe.plan(material, sizes, training)
    valid = _sample(material.split.validation, training)

    def validate(model: Any) -> dict[str, float]:
        return _metrics(name, valid, material.items, plan.rank(model, valid))

    choose = plan.settle
    settle = None if choose is None else lambda model: choose(model, lambda: validate(model)["ndcg@10"])
    with _kept(folder) as place:
        history = fit(
            plan.model,
            plan.batches,
            plan.loss,
            validate,
            _settings(training, plan.batches.steps),
            place,
            data=_identity(data, training),
            settle=settle,
            flops=plan.flops,
            on_progress=_told(progress),
        )
    return plan.model, history


def _identity(data: str, training: TrainingConfig) -> str:
    """What is trained on and how, so far as the loop does not know."""
    also = {name: value for name in _ALSO if (value := getattr(training, name, None))}
    return f"{data} {also}" if also else data


@contextmanager
def _kept(folder: str | Path | None) -> Iterator[Path]:
    if folder is not None:
        yield Path(folder)
        return
    with TemporaryDirectory() as temporary:
        yield Path(temporary)


def _settings(training: TrainingConfig, steps: int) -> TrainSettings:
    """What the loop is told, given how many steps an epoch has."""
    values = training.model_dump(include=_COMMON)
    if isinstance(training, PassesTrainingConfig):
        values["max_steps"] = training.max_steps or max(1, round(training.epochs * steps))
        values["evaluate_every_steps"] = training.evaluate_every_steps or max(1, steps)
    return TrainSettings(**values)


def _sample(valid: EvaluationSet, training: TrainingConfig) -> EvaluationSet:
    """Draw the users whose validation items choose the weights; those without a history can teach nothing."""
    able = np.flatnonzero(valid.histories.lengths > 0)
    if len(able) > training.validate_users:
        able = np.sort(
            np.random.default_rng(training.seed).choice(able, training.validate_users, replace=False)
        )
    return valid.take(able)


def _metrics(model: str, valid: EvaluationSet, n_items: int, ranked: Ranked) -> dict[str, float]:
    predictions = Predictions(model, valid.users, *ranked, valid.targets)
    return {name: float(values.mean()) for name, values in user_metrics(predictions, n_items, (K,)).items()}


def _told(progress: Progress) -> Callable[[TrainProgress], None]:
    def on_progress(state: TrainProgress) -> None:
        figures = {"loss": state.loss}
        if "ndcg@10" in state.metrics:
            figures["ndcg@10"] = state.metrics["ndcg@10"]
        progress(state.step, state.total, **figures)

    return on_progress
