"""The stages `train.<name>`: fit one recommender."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sidkit._progress import Progress
from sidkit.evaluate import bigram_losses
from sidkit.run.assistants import call_assistants
from sidkit.run.engine import Outcome, Stage, Task
from sidkit.run.stages.context import Context
from sidkit.run.stages.files import model_path

__all__ = ["train_stage", "training_callbacks"]

_THROUGHPUT = ("tokens_per_second", "gemm_share", "flops")
_DIAGNOSED = 2000  # validation examples on which losses are measured


def train_stage(context: Context, name: str) -> Stage:
    """Describe the training of one recommender of `recommenders.use`."""
    recommender = context.config.recommenders[name].build()
    inputs = ["data"]
    if recommender.uses_item_vectors:
        inputs.append("embed")
    if recommender.uses_sids:
        inputs.append("ids")
    settings = {
        key: value
        for key, value in context.settings(f"recommenders.{name}").items()
        if key.rpartition(".")[2] not in recommender.not_in_identity
    }
    return Stage(f"train.{name}", settings, inputs, lambda task: _work(context, name, task))


def _work(context: Context, name: str, task: Task) -> Outcome:
    workspace = task.workspace()
    recommender = fit_recommender(context, name, task)
    history = getattr(recommender, "history_", None)
    facts: dict[str, Any] = {}
    if history is not None:
        facts = {"parameters": history.parameters, "best_step": history.best_step}
        facts |= {key: value for key in _THROUGHPUT if (value := getattr(history, key))}
    if recommender.generative:
        facts |= _diagnosis(context, recommender)
    saved = workspace / "saved"
    recommender.save(saved)
    return Outcome(_move(saved, context.directory.path, model_path(name)), facts)


def fit_recommender(context: Context, name: str, task: Task) -> Any:
    """Fit one recommender; among the processes of `torchrun`, every process calls this."""
    call_assistants(name, task.workspace(), task.fingerprint)
    recommender = context.config.recommenders[name].build()
    return recommender.fit(
        context.split.train,
        sids=context.sids() if recommender.uses_sids else None,
        item_vectors=context.vectors() if recommender.uses_item_vectors else None,
        validation=context.split.validation,
        callbacks=training_callbacks(task.workspace(), task.fingerprint, task.progress),
    )


def training_callbacks(directory: Path, fingerprint: str, progress: Progress) -> list[Any]:
    """Return callbacks that checkpoint a training into a directory and report its progress."""

    def report(state: Any) -> None:
        figures = {"loss": state.loss}
        if "ndcg@10" in state.metrics:
            figures["ndcg@10"] = state.metrics["ndcg@10"]
        progress(state.step, state.total, **figures)

    if "torch" not in sys.modules:  # no model that was built so far is trained in steps
        return [report]
    from sidkit.train import Checkpoint

    return [Checkpoint(directory, identity=fingerprint, keep=True), report]


def _diagnosis(context: Context, recommender: Any) -> Mapping[str, Sequence[float]]:
    """Measure the losses of a generative model and of the bigram baseline on validation, by level."""
    validation = context.split.validation
    usable = np.flatnonzero(validation.histories.lengths > 0)
    if not len(usable):
        return {}
    drawn = np.random.default_rng(0).permutation(usable)[:_DIAGNOSED]
    examples = validation.take(np.sort(drawn))
    baseline = bigram_losses(context.sids().tokens, context.split.train, examples)
    return {
        "level_loss": [round(loss, 4) for loss in recommender.level_losses(examples)],
        "bigram_loss": [round(loss, 4) for loss in baseline],
    }


def _move(source: Path, run: Path, name: str) -> list[str]:
    """Move the files of a finished training to where the run keeps them, and remove those of a former one."""
    target = run / name
    moved = []
    for file in sorted(each for each in source.rglob("*") if each.is_file()):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)
        moved.append(place)
    for former in sorted(target.rglob("*"), reverse=True):  # files of a directory before the directory
        if former.is_file() and former not in moved:
            former.unlink()
        elif former.is_dir() and not any(former.iterdir()):
            former.rmdir()
    return [place.relative_to(run).as_posix() for place in moved]
