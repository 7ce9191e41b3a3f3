"""The stage `evaluate`: metrics of every model under one protocol."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sidkit.evaluate import (
    Metrics,
    Predictions,
    Protocol,
    Result,
    cold_slices,
    machine_facts,
    measure,
    user_slices,
    version_facts,
)
from sidkit.run.engine import Outcome, Stage, Task
from sidkit.run.stages.context import Context
from sidkit.run.stages.decode import SETTINGS
from sidkit.run.stages.files import METRICS

__all__ = ["evaluate_stage"]

_LOSSES = ("level_loss", "bigram_loss")
_THROUGHPUT = ("tokens_per_second", "gemm_share", "flops")


def evaluate_stage(context: Context) -> Stage:
    """Describe the stage; it is cheap, so a change of its settings needs no `force`."""
    use = context.config.recommenders.use
    settings = context.settings("evaluate") | {"recommenders.use": list(use)}
    inputs = ("data", *(f"decode.{name}" for name in use))
    return Stage("evaluate", settings, inputs, lambda task: _work(context, task), cheap=True)


def _work(context: Context, task: Task) -> Outcome:
    records = context.directory.records
    test = context.split.test
    popularity = np.bincount(context.split.train.values, minlength=len(context.dataset.items))
    targets = popularity[test.targets]
    slices = cold_slices(targets) | user_slices(test.histories.lengths, targets)
    peaks = {name: record.peak_memory_bytes for name, record in records.items()}
    Metrics(
        protocol(context),
        _results(context, task, popularity, slices),
        tokenizer=dict(records["tokenize"].facts) if _uses_sids(context) else {},
        seconds={name: record.seconds for name, record in records.items()},
        diagnostics=_facts(context, _LOSSES),
        training=_facts(context, _THROUGHPUT),
        cpu_seconds={name: record.cpu_seconds for name, record in records.items() if record.cpu_seconds},
        machine=machine_facts() | {"peak_memory_bytes": peaks},
        versions=version_facts(),
        slices={"all": len(test)} | {name: int(mask.sum()) for name, mask in slices.items()},
    ).save(context.directory.path / METRICS)
    return Outcome((METRICS,))


def _results(context: Context, task: Task, popularity: Any, slices: Mapping[str, Any]) -> list[Result]:
    evaluate, records = context.config.evaluate, context.directory.records
    lists = [file for name in context.config.recommenders.use for file in records[f"decode.{name}"].outputs]
    results = []
    for done, file in enumerate(lists):
        task.progress(done, len(lists))
        results += measure(
            Predictions.load(context.directory.path / file),
            len(context.dataset.items),
            ks=evaluate.ks,
            slices=slices,
            popularity=popularity,
            resamples=evaluate.bootstrap_samples,
            seed=evaluate.seed,
        )
    return results


def protocol(context: Context) -> Protocol:
    """Return the protocol under which the models of a run are measured."""
    config, uses_sids = context.config, _uses_sids(context)
    # Without tied timestamps nothing was shuffled, whatever the setting.
    shuffled = config.data.ties == "shuffle" and context.dataset.tied_share > 0
    return Protocol(
        split=config.data.split,
        ties="shuffle" if shuffled else "source",
        tie_seed=config.data.seed if shuffled else 0,
        exclude_seen=SETTINGS,
        collisions=config.ids.collisions if uses_sids else None,
        reassign=config.ids.reassign if uses_sids else "first",
        candidates=len(context.dataset.items),
        beam=config.decode.beam if uses_sids else None,
        seeds=_seeds(context),
        users=len(context.split.test),
        cold_share=context.split.test.cold_share,
        cold_seed=context.split.test.cold_seed,
        dataset=context.dataset.name,
        resamples=config.evaluate.bootstrap_samples,
    )


def _uses_sids(context: Context) -> bool:
    recommenders = context.config.recommenders
    return any(recommenders[name].build().uses_sids for name in recommenders.use)


def _seeds(context: Context) -> tuple[int, ...]:
    """The seeds of the trainings; 0 if no model has one."""
    recommenders = context.config.recommenders
    seeds = {
        int(settings.seed) for name in recommenders.use if hasattr(settings := recommenders[name], "seed")
    }
    return tuple(sorted(seeds or {0}))


def _facts(context: Context, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return those facts of every training that it has."""
    found = {}
    for name in context.config.recommenders.use:
        facts = context.directory.records[f"train.{name}"].facts
        if kept := {key: facts[key] for key in names if key in facts}:
            found[name] = kept
    return found
