"""Beam width: lists of one generative model by several beams, and by scoring every item."""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from sidkit._arguments import Count, Seed, checked
from sidkit._files import write_json
from sidkit._progress import Progress, silent
from sidkit.data import EvaluationSet
from sidkit.errors import ConfigError
from sidkit.evaluate import (
    Comparison,
    Predictions,
    TargetRanks,
    bootstrap_interval,
    machine_facts,
    version_facts,
)
from sidkit.recommenders import RECOMMENDERS
from sidkit.run.directory import RunDirectory
from sidkit.run.opened import open_run
from sidkit.run.stages.context import Context

__all__ = ["EXACT", "measure_beams", "save_beams"]

EXACT = "exact"
_METRICS = ("recall@10", "ndcg@10")
_K = 10
_WARM_UP = 64  # users, before the timing


@checked
def measure_beams(
    run: str | os.PathLike[str],
    *,
    model: str = "rqtransformer",
    beams: Sequence[int] = (10, 20, 50, 100),
    users: int = 0,
    exclude_seen: bool = False,
    seed: Seed = 0,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Recommend ten items to the same test users with every beam, and measure accuracy and speed.

    The reference, user by user, is the model without search error: RQTransformer can score every item of the
    catalogue. For other generative models it is the widest beam.

    Args:
        run: a run directory in which the model is trained.
        model: a generative model.
        beams: prefixes kept at every level, each at least 10.
        users: number of test users, drawn at random; 0 for all.
        exclude_seen: exclude the items of each history.
        seed: seed of the draw and of the bootstrap.
        progress: called after every beam.

    Returns:
        The content of `beams.json`: `model`, `users`, `exclude_seen`, `against`, `machine`, `versions`, and
        `rows`, one for each search: `search` (`beam 10`, …, `exact`), `beam`, each metric with `value`,
        `ci95` and its difference from the reference, `delta_exact` or `delta_widest`, with `ci95` and `p`;
        `users_per_second` and `users_per_cpu_second`.

    Raises:
        ConfigError: if the model is not generative, or a beam is below 10.
        RunDirectoryError: if the run has no such model.
    """
    widths = sorted(set(beams))
    if not widths or widths[0] < _K:
        raise ConfigError(f"ten items are recommended, so a beam is at least {_K}; got {widths}")
    if model in RECOMMENDERS and not RECOMMENDERS[model].generative:
        raise ConfigError(f"beam search needs a generative model, got `{model}`")
    opened = open_run(run, model=model)
    recommender = opened.recommender()
    if not recommender.generative:
        raise ConfigError(f"beam search needs a generative model, got `{model}`")
    context = Context(opened.config, RunDirectory(opened.path))
    test = _drawn(context.split.test, users, seed)
    searches = _searches(recommender, widths, exclude_seen, opened.config.decode.batch_size)
    lists, speeds = [], []
    for done, (name, ranked) in enumerate(searches.items()):
        progress(done, len(searches))
        ranked(test.take(np.arange(min(_WARM_UP, len(test)))))
        wall, cpu = time.perf_counter(), time.process_time()
        items, scores = ranked(test)
        spent = time.perf_counter() - wall, time.process_time() - cpu
        lists.append(Predictions(name, test.users, items, scores, test.targets, exclude_seen=exclude_seen))
        speeds.append([len(test) / max(seconds, 1e-9) for seconds in spent])
    progress(len(searches), len(searches))
    ranks = TargetRanks.of(lists, len(recommender.item_ids_))
    against = list(searches)[-1]
    rows = []
    for name, beam, (rate, cpu_rate) in zip(searches, [*widths, None], speeds, strict=False):
        figures = {metric: _figures(ranks, name, against, metric, seed) for metric in _METRICS}
        speed = {"users_per_second": rate, "users_per_cpu_second": cpu_rate}
        rows.append({"search": name, "beam": beam, **figures, **speed})
    return {
        "model": model,
        "users": len(test),
        "exclude_seen": exclude_seen,
        "against": against,
        "machine": machine_facts(),
        "versions": version_facts(),
        "rows": rows,
    }


@checked
def save_beams(found: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write `beams.json`, whole or not at all."""
    write_json(path, found)


def _searches(
    recommender: Any, widths: Sequence[int], exclude_seen: bool, batch_size: Count
) -> dict[str, Callable[[EvaluationSet], Any]]:
    """Return every search by name: one for each beam, and the exact one if the model has it."""

    def search(examples: EvaluationSet, **options: Any) -> Any:
        return recommender._rank(
            examples.histories,
            _K,
            users=examples.users,
            exclude=examples.histories if exclude_seen else None,
            batch_size=batch_size,
            **options,
        )

    searches: dict[str, Callable[[EvaluationSet], Any]] = {
        f"beam {beam}": partial(search, beam=beam) for beam in widths
    }
    if EXACT in recommender.scorings:
        searches[EXACT] = partial(search, scoring="exact")
    return searches


def _drawn(test: EvaluationSet, users: int, seed: Seed) -> EvaluationSet:
    if not 0 < users < len(test):
        return test
    return test.take(np.sort(np.random.default_rng(seed).choice(len(test), users, replace=False)))


def _figures(ranks: TargetRanks, name: str, against: str, metric: str, seed: Seed) -> dict[str, Any]:
    values = ranks.metric(name, metric)
    gain = Comparison.of(name, against, metric, values - ranks.metric(against, metric), seed=seed)
    kept = {
        key: value for key, value in dataclasses.asdict(gain).items() if key in ("difference", "ci95", "p")
    }
    return {
        "value": float(values.mean()),
        "ci95": list(bootstrap_interval(values, seed=seed)),
        "delta_exact" if against == EXACT else "delta_widest": {**kept, "ci95": list(gain.ci95)},
    }
