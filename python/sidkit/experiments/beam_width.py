"""What a wider beam buys: one trained generator, its lists by several beams and by scoring every item."""

import dataclasses
import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sidkit._files import write_text
from sidkit._progress import Progress, silent
from sidkit.data import EvaluationSet, split_dataset
from sidkit.errors import ConfigError
from sidkit.evaluate import (
    Comparison,
    Predictions,
    TargetRanks,
    bootstrap_interval,
    machine_facts,
    version_facts,
)
from sidkit.run.config import GENERATIVE_MODELS

__all__ = ["EXACT", "measure_beams", "save_beams"]

EXACT = "exact"
_METRICS = ("recall@10", "ndcg@10")
_K = 10
_WARM_UP = 64  # users, before the clock runs


def measure_beams(
    run: str | os.PathLike[str],
    *,
    model: str = "rqtransformer",
    beams: Sequence[int] = (10, 20, 50, 100),
    users: int = 0,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Recommend ten items to the same test users with every beam, and measure accuracy and speed.

    The truth they are compared with, user by user, is the model without a search: every item of the catalogue
    scored, which RQTransformer can do. For another generator it is the widest beam.

    Args:
        run: a run directory in which the model is trained.
        model: a generator.
        beams: prefixes kept at every level, each at least 10.
        users: how many test users, drawn at random; 0 for all.
        seed: of the draw and of the bootstrap.
        progress: told after every beam.

    Returns:
        What `beams.json` holds: `model`, `users`, `exclude_seen`, `against`, `machine`, `versions`, and `rows`,
        one for each search: `search` (`beam 10`, …, `exact`), `beam`, each metric with `value`, `ci95` and
        its difference from the truth, `less_exact` or `less_widest`, with `ci95` and `p`; `users_per_second`
        and `users_per_cpu_second`.

    Raises:
        ConfigError: if the model writes no Semantic IDs, or a beam is below 10.
        RunDirectoryError: if the run has no such model.
    """
    from sidkit.decode import beam_search, rank_by_rqtransformer
    from sidkit.models import RQTransformerNetwork, load_model
    from sidkit.run.opened import open_run

    widths = sorted(set(beams))
    if model not in GENERATIVE_MODELS:
        raise ConfigError(f"`{model}` searches nothing; beams are of {', '.join(sorted(GENERATIVE_MODELS))}")
    if not widths or widths[0] < _K:
        raise ConfigError(f"ten items are recommended, so a beam is at least {_K}; got {widths}")
    opened = open_run(run, model=model)
    data = opened.config.data
    test = _drawn(
        split_dataset(opened.dataset, kind=data.split, ties=data.ties, seed=data.seed).test, users, seed
    )
    trained: Any = load_model(opened.path / "models" / model)
    trained.eval()
    mask, batch_size = opened.config.decode.exclude_seen, opened.config.decode.batch_size

    def search(beam: int, part: EvaluationSet) -> Any:
        return beam_search(
            trained,
            opened.trie,
            opened.table.tokens,
            part.histories,
            beam=beam,
            k=_K,
            users=part.users,
            exclude=part.histories if mask else None,
            batch_size=batch_size,
        )

    def exact(part: EvaluationSet) -> Any:
        seen = part.histories if mask else None
        return rank_by_rqtransformer(trained, part.histories, _K, exclude=seen, batch_size=batch_size)

    searches: dict[str, Callable[[EvaluationSet], Any]] = {
        f"beam {beam}": partial(search, beam) for beam in widths
    }
    if isinstance(trained, RQTransformerNetwork):
        searches[EXACT] = exact
    lists, speeds = [], []
    for done, (name, ranked) in enumerate(searches.items()):
        progress(done, len(searches))
        ranked(test.take(np.arange(min(_WARM_UP, len(test)))))
        wall, cpu = time.perf_counter(), time.process_time()
        items, scores = ranked(test)
        spent = time.perf_counter() - wall, time.process_time() - cpu
        lists.append(Predictions(name, test.users, items, scores, test.targets))
        speeds.append([len(test) / max(seconds, 1e-9) for seconds in spent])
    progress(len(searches), len(searches))
    ranks = TargetRanks.of(lists, len(opened.table))
    against = list(searches)[-1]
    rows = []
    for name, beam, (rate, cpu_rate) in zip(searches, [*widths, None], speeds, strict=False):
        figures = {metric: _figures(ranks, name, against, metric, seed) for metric in _METRICS}
        speed = {"users_per_second": rate, "users_per_cpu_second": cpu_rate}
        rows.append({"search": name, "beam": beam, **figures, **speed})
    return {
        "model": model,
        "users": len(test),
        "exclude_seen": mask,
        "against": against,
        "machine": machine_facts(),
        "versions": version_facts(),
        "rows": rows,
    }


def save_beams(found: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write `beams.json`, whole or not at all."""
    write_text(Path(path), json.dumps(found, indent=1, allow_nan=False) + "\n")


def _drawn(test: EvaluationSet, users: int, seed: int) -> EvaluationSet:
    if not 0 < users < len(test):
        return test
    return test.take(np.sort(np.random.default_rng(seed).choice(len(test), users, replace=False)))


def _figures(ranks: TargetRanks, name: str, against: str, metric: str, seed: int) -> dict[str, Any]:
    values = ranks.metric(name, metric)
    gain = Comparison.of(name, against, metric, values - ranks.metric(against, metric), seed=seed)
    told = {
        key: value for key, value in dataclasses.asdict(gain).items() if key in ("difference", "ci95", "p")
    }
    return {
        "value": float(values.mean()),
        "ci95": list(bootstrap_interval(values, seed=seed)),
        "less_exact" if against == EXACT else "less_widest": {**told, "ci95": list(gain.ci95)},
    }
