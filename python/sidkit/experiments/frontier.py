"""Trade-off of accuracy against diversity and popularity, for each re-ranker over its parameter."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Count, Seed, checked, shown
from sidkit._files import write_json
from sidkit._progress import Progress, silent
from sidkit.data import EvaluationSet
from sidkit.decode.ranking import Ranked
from sidkit.errors import ConfigError, DataError
from sidkit.evaluate import (
    Comparison,
    ListFacts,
    Predictions,
    bootstrap_interval,
    catalogue_metrics,
    list_metrics,
    machine_facts,
    user_metrics,
    version_facts,
)
from sidkit.evaluate.lists import gini
from sidkit.rerank import DPP, MMR, ItemFeatures, MaxSum, PopularityCorrection, Reranker
from sidkit.run.directory import RunDirectory
from sidkit.run.opened import open_run
from sidkit.run.stages.context import Context
from sidkit.run.stages.files import EMBEDDINGS

__all__ = ["GRID", "measure_frontier", "save_frontier", "within_loss"]

#: The parameter of every method and its values; `mmr_tail` is `MMR` that keeps the first 7 of 10 positions.
GRID: dict[str, tuple[str, tuple[float, ...]]] = {
    "mmr": ("diversity", (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)),
    "dpp": ("diversity", (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)),
    "max_sum": ("diversity", (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.12, 0.2, 0.4)),
    "mmr_tail": ("diversity", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
    "popularity_correction": ("weight", (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)),
}

_KEPT = 0.7  # share of the positions of `mmr_tail` that scores alone decide


@checked
def measure_frontier(
    run: str | os.PathLike[str],
    *,
    model: str | None = None,
    users: int = 0,
    k: Count = 10,
    candidates: int = 200,
    exclude_seen: bool = True,
    seed: Seed = 0,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Re-rank the lists of one model for validation users, by every method of `GRID` at every value.

    Distances of items are those of the item vectors of the run or, if it made none, of the vectors that the
    model has learned.

    Args:
        run: a run directory in which the model is trained.
        model: name of the model; None for the default of `open_run`.
        users: number of validation users, drawn at random; 0 for all.
        k: length of the lists.
        candidates: items that are re-ranked, at least `k`.
        exclude_seen: exclude the items of each history.
        seed: seed of the draw and of the bootstrap.
        progress: called after every list.

    Returns:
        The content of `frontier.json`: `model`, `users`, `k`, `candidates`, `exclude_seen`, `vectors`,
        `machine`, `versions`, and `points`, of which the first, `plain`, is not re-ranked. A point has
        `method`, `parameter`, `value`, and for each metric `value`; metrics of users also have `change`, the
        relative difference from `plain`, and those of accuracy `ci95` and the paired `difference` from
        `plain`, with its own `ci95` and `p`.

    Raises:
        ConfigError: if there are fewer candidates than positions, or neither the run nor the model has item
            vectors.
        RunDirectoryError: if the run has no such model.
    """
    if candidates < k or k < 1:
        raise ConfigError(f"`candidates` must be at least `k`, and `k` at least 1, got {candidates} and {k}")
    opened = open_run(run, model=model)
    recommender, context = opened.recommender(), Context(opened.config, RunDirectory(opened.path))
    examples = _drawn(context.split.validation, users, seed)
    vectors, source = _vectors(context, recommender)
    counts = recommender.item_counts_
    features = ItemFeatures(item_ids=recommender.item_ids_, counts=counts)
    items, scores = recommender._rank(
        examples.histories,
        candidates,
        users=examples.users,
        exclude=examples.histories if exclude_seen else None,
        batch_size=opened.config.decode.batch_size,
    )
    measure = _Measure(examples, ListFacts(counts=counts, vectors=vectors), k, exclude_seen, seed)
    points = [measure("plain", None, None, (items[:, :k].copy(), scores[:, :k].copy()))]
    planned = [(method, name, value) for method, (name, values) in GRID.items() for value in values]
    for done, (method, name, value) in enumerate(planned):
        progress(done, len(planned))
        ranked = _reranker(method, value, vectors, k).rerank(items, scores, k, features)
        points.append(measure(method, name, value, ranked))
    progress(len(planned), len(planned))
    return {
        "model": opened.model,
        "users": len(examples),
        "k": k,
        "candidates": candidates,
        "exclude_seen": exclude_seen,
        "vectors": source,
        "machine": machine_facts(),
        "versions": version_facts(),
        "points": points,
    }


@checked
def save_frontier(found: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write `frontier.json`, whole or not at all."""
    write_json(path, found)


def _reranker(method: str, value: float, vectors: npt.NDArray[np.float32], k: int) -> Reranker:
    makers: dict[str, Callable[[], Reranker]] = {
        "mmr": lambda: MMR(diversity=value, vectors=vectors),
        "dpp": lambda: DPP(diversity=value, vectors=vectors),
        "max_sum": lambda: MaxSum(diversity=value, vectors=vectors),
        "mmr_tail": lambda: MMR(diversity=value, vectors=vectors, keep=round(_KEPT * k)),
        "popularity_correction": lambda: PopularityCorrection(weight=value),
    }
    return makers[method]()


class _Measure:
    """Metrics of lists for the same users, compared with the first lists that were measured."""

    def __init__(
        self, examples: EvaluationSet, facts: ListFacts, k: Count, exclude_seen: bool, seed: Seed
    ) -> None:
        self._examples, self._facts, self._k = examples, facts, k
        self._exclude_seen, self._seed = exclude_seen, seed
        self._plain: dict[str, npt.NDArray[np.float64]] = {}

    def __call__(
        self, method: str, parameter: str | None, value: float | None, ranked: Ranked
    ) -> dict[str, Any]:
        """Return a point of the frontier."""
        assert self._facts.counts is not None
        n_items = len(self._facts.counts)
        items, scores = ranked
        made = Predictions(
            method, self._examples.users, items, scores, self._examples.targets, self._exclude_seen
        )
        accuracy = user_metrics(made, n_items, (self._k,))
        metrics = accuracy | list_metrics(made, self._facts, self._k)
        self._plain = self._plain or metrics
        coverage = f"coverage@{self._k}"
        figures: dict[str, Any] = {name: self._change(name, each) for name, each in metrics.items()}
        for name, each in accuracy.items():
            figures[name] |= self._intervals(method, name, each)
        figures[coverage] = {"value": catalogue_metrics(made, n_items, (self._k,))[coverage]}
        figures[f"gini@{self._k}"] = {"value": gini(made.items, n_items)}
        return {"method": method, "parameter": parameter, "value": value, "metrics": figures}

    def _change(self, name: str, values: npt.NDArray[np.float64]) -> dict[str, Any]:
        before, after = float(self._plain[name].mean()), float(values.mean())
        return {"value": after, "change": (after - before) / before if before else 0.0}

    def _intervals(self, method: str, name: str, values: npt.NDArray[np.float64]) -> dict[str, Any]:
        gain = Comparison.of(method, "plain", name, values - self._plain[name], seed=self._seed)
        return {
            "ci95": list(bootstrap_interval(values, seed=self._seed)),
            "difference": {"difference": gain.difference, "ci95": list(gain.ci95), "p": gain.p},
        }


def _vectors(context: Context, recommender: Any) -> tuple[npt.NDArray[np.float32], str]:
    if (context.directory.path / EMBEDDINGS).exists():
        return context.vectors(), "item vectors of the run"
    learned = recommender._item_vectors()
    if learned is None:
        raise ConfigError(
            f"diversity needs item vectors: expected a run with the stage `embed`, or a model that learns "
            f"some, got `{recommender.method}` and no vectors. Use another model"
        )
    return learned, "item vectors that the model has learned"


def _drawn(examples: EvaluationSet, users: int, seed: Seed) -> EvaluationSet:
    if not 0 < users < len(examples):
        return examples
    return examples.take(np.sort(np.random.default_rng(seed).choice(len(examples), users, replace=False)))


@checked
def within_loss(
    found: dict[str, Any], metric: str, loss: float, *, methods: Sequence[str], lowest: bool = False
) -> dict[str, Any] | None:
    """Return the point with the highest value of a metric whose NDCG is at most `loss` below that of `plain`.

    Args:
        found: the content of `frontier.json`.
        metric: such as `diversity@10`.
        loss: relative loss of NDCG, such as 0.03.
        methods: methods to choose from.
        lowest: return the point with the lowest value instead.

    Raises:
        DataError: if `found` has not the form of `frontier.json`, or lacks the metric.
    """
    sign = -1 if lowest else 1
    try:
        ndcg = f"ndcg@{found['k']}"
        kept = [
            point
            for point in found["points"]
            if point["method"] in methods and point["metrics"][ndcg]["change"] >= -loss
        ]
        return max(kept, key=lambda point: sign * point["metrics"][metric]["value"], default=None)
    except (KeyError, TypeError, IndexError) as error:
        raise DataError(
            f"`found` has not the form of a frontier: expected the content of `frontier.json` with {metric}, "
            f"got {shown(found)}."
        ) from error
