"""Remarks on a run: a one-sentence conclusion, and models that fall short with the likely cause.

Every statement is computed from stored figures.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sidkit.errors import SidkitError
from sidkit.evaluate import Comparison, Metrics, Result, compare
from sidkit.report.collect import RunData
from sidkit.report.headline import headline_metric
from sidkit.report.names import baseline_last, metric_name, model_name
from sidkit.report.numbers import number

__all__ = ["best_result", "conclusion", "paired_comparisons", "remarks"]

_BASELINE = "popularity"
_ENOUGH = 2.0  # times the metric of popularity; below this a model has learned little about its users
_EARLY = 0.7  # fraction of the training after which the best weights count as late
_DRIFT = 0.8  # ratio of test to validation below which the test targets are harder
_BLIND = 0.5  # fraction of a model's Recall that it reaches with lists of other users
_FEW = 0.5  # fraction of the distinct items of the most varied model


def conclusion(run: RunData) -> str | None:
    """State which model is best, and by how much, in one sentence; None without results."""
    metrics = run.metrics
    best = best_result(metrics) if metrics is not None else None
    if metrics is None or best is None:
        return None
    interval = f" (95 % interval {number(best.ci95[0])}–{number(best.ci95[1])})" if best.ci95 else ""
    text = f"{model_name(best.model)} is the most accurate model, with {metric_name(best.metric)} "
    text += f"{number(best.value)}{interval}"
    rivals = [
        result
        for model in metrics.models
        if model not in (best.model, _BASELINE)
        and (result := metrics.find(model, best.metric, exclude_seen=best.exclude_seen))
    ]
    if best.model == _BASELINE:
        return f"{text}. No trained model is better." if rivals else f"{text}."
    clauses = []
    second = max(rivals, key=lambda result: result.value, default=None)
    if second is not None and second.value > 0:
        gain = f"{best.value / second.value - 1:.0%}".replace("%", " %")
        clauses.append(f"{gain} above {model_name(second.model)}{_certainty(run, best, second.model)}")
    base = metrics.find(_BASELINE, best.metric, exclude_seen=best.exclude_seen)
    if base is not None and base.value > 0:
        clauses.append(f"{best.value / base.value:.1f} times popularity")
    return ": ".join([text, " and ".join(clauses)] if clauses else [text]) + "."


def best_result(metrics: Metrics, *, trained: bool = False) -> Result | None:
    """Return the highest headline metric, or that of trained models only; None without results."""
    metric = headline_metric(metrics)
    models = [model for model in metrics.models if not (trained and model == _BASELINE)]
    found = [metrics.find(model, metric) for model in models] if metric is not None else []
    return max((each for each in found if each is not None), key=lambda each: each.value, default=None)


def paired_comparisons(
    run: RunData, first: str, others: Sequence[str], metric: str, *, exclude_seen: bool
) -> list[Comparison]:
    """Compare one model with others user by user; models without comparable lists are omitted."""
    lists = run.lists(exclude_seen)
    if run.metrics is None or first not in lists:
        return []
    found = []
    for other in others:
        if other not in lists:
            continue
        try:
            pairs = compare(
                lists[first],
                lists[other],
                run.metrics.protocol.candidates,
                ks=[int(metric.partition("@")[2])],
            )
        except SidkitError:
            # Lists of another dataset or shorter lists: the metrics themselves remain valid.
            continue
        found += [pair for pair in pairs if pair.metric == metric]
    return found


def _certainty(run: RunData, best: Result, other: str) -> str:
    pairs = paired_comparisons(run, best.model, [other], best.metric, exclude_seen=best.exclude_seen)
    if not pairs:
        return ""
    return " (significant)" if pairs[0].significant else " (not significant)"


def remarks(run: RunData) -> list[str]:
    """Describe every trained model that falls short, and the likely cause.

    A model falls short if its headline metric is less than twice that of popularity, if its lists have less
    than half the distinct items of the most varied model, if its lists would be half as good for other users,
    or if it predicts a token of the next item no better than a bigram baseline.
    """
    metrics = run.metrics
    if metrics is not None:
        metrics = metrics.under(metrics.protocol.exclude_seen[0])
    headline = headline_metric(metrics) if metrics is not None else None
    if metrics is None or headline is None:
        return []
    found = []
    for model in baseline_last(metrics.models):
        if model != _BASELINE:
            found += [*_weak(run, metrics, model, headline), *_narrow(metrics, model, headline)]
            found += [*_blind(metrics, model, headline), *_unlearned(metrics, model)]
    return found


def _weak(run: RunData, metrics: Metrics, model: str, headline: str) -> Iterator[str]:
    ours, base = metrics.find(model, headline), metrics.find(_BASELINE, headline)
    if ours is None or base is None or base.value <= 0 or ours.value >= _ENOUGH * base.value:
        return
    # One training may offer several rankings; validation uses the fused one where there is one.
    trained = model.partition("-")[0]
    fused = f"{trained}-fused"
    validated = model == (fused if fused in metrics.models else trained)
    causes = [*_course(run.histories.get(trained, {}), ours.value if validated else None, headline, metrics)]
    others = [
        (result.value, other)
        for other in metrics.models
        # Rankings of the same training fall short for the same reasons.
        if other.partition("-")[0] not in (trained, _BASELINE) and (result := metrics.find(other, headline))
    ]
    best = max(others, default=None)
    if best is not None:
        ratio = best[0] / base.value
        reach = f"The best other model, {model_name(best[1])}, reaches {ratio:.2f} times popularity"
        causes.append(
            f"{reach}: the order of events has little information in this dataset"
            if best[0] < 1.25 * _ENOUGH * base.value
            else f"{reach}, so the dataset has more information than this model uses"
        )
    times = ours.value / base.value
    found = (
        f"{model_name(model)} reaches {metric_name(headline)} {number(ours.value)}, {times:.2f} times "
        f"that of popularity ({number(base.value)}); {_ENOUGH:.0f} times is expected"
    )
    yield ". ".join([found, *causes]) + "."


def _course(history: Mapping[str, Any], test: float | None, headline: str, metrics: Metrics) -> Iterator[str]:
    """Describe the course of a training; `test` is None for a ranking that validation does not use."""
    steps = history.get("steps") or [{}]
    last, best = steps[-1].get("step", 0), history.get("best_step", 0)
    measured = [entry["metrics"].get(headline) for entry in history.get("evaluations", [])]
    values = [value for value in measured if isinstance(value, int | float)]
    if not last or not values:
        return
    if best >= _EARLY * last:
        yield (
            f"It was still improving on validation near the end (best at step {best:,} of {last:,}): "
            "train it longer"
        )
    else:
        yield (
            f"On validation it was best at step {best:,} of {last:,}: more steps do not help, "
            "try more dropout or other sizes"
        )
    if test is not None and test < _DRIFT * max(values):
        harder = (
            "the last event of a user is harder to predict than the one before it"
            if metrics.protocol.split in ("leave_last_out", "cold_items")
            else "the events of the test set are harder to predict than those of validation"
        )
        yield f"On validation it reached {number(max(values))}: {harder}, for every model"


def _narrow(metrics: Metrics, model: str, headline: str) -> Iterator[str]:
    k = headline.partition("@")[2]
    distinct = {
        other: result.value for other in metrics.models if (result := metrics.find(other, f"distinct@{k}"))
    }
    widest = max(distinct, key=lambda other: distinct[other], default=model)
    if model in distinct and distinct[model] < _FEW * distinct[widest]:
        yield (
            f"All lists of {model_name(model)} together have {distinct[model]:,.0f} distinct items, "
            f"those of {model_name(widest)} {distinct[widest]:,.0f}: it recommends similar items to all "
            "users, which is typical of incomplete training."
        )


def _blind(metrics: Metrics, model: str, headline: str) -> Iterator[str]:
    k = headline.partition("@")[2]
    recall = metrics.find(model, f"recall@{k}")
    shuffled = metrics.find(model, f"shuffled_history_recall@{k}")
    if recall is None or shuffled is None or recall.value <= 0 or shuffled.value < _BLIND * recall.value:
        return
    overlap = metrics.find(model, f"list_overlap@{k}")
    alike = f", and two users share {overlap.value:.0%} of their lists" if overlap is not None else ""
    yield (
        f"With the lists of other users, {model_name(model)} would still have a Recall@{k} of "
        f"{number(shuffled.value)} (with their own {number(recall.value)}){alike}: it depends on popularity "
        "more than on histories, which is typical of incomplete training or of histories in a wrong order."
    )


def _unlearned(metrics: Metrics, model: str) -> Iterator[str]:
    """Name the levels at which a generative model is no better than the bigram baseline."""
    figures = metrics.diagnostics.get(model, {})
    losses = list(zip(figures.get("level_loss", []), figures.get("bigram_loss", []), strict=False))
    worse = [level for level, (ours, bigram) in enumerate(losses) if ours >= bigram]
    if not worse:
        return
    which = ", ".join(f"{level} ({losses[level][0]:.2f} against {losses[level][1]:.2f})" for level in worse)
    cause = (
        "it has not learned the order of items: train it longer, or with another learning rate"
        if 0 in worse
        else "the first level is learned, the lower ones are not: use a smaller codebook or train longer"
    )
    yield (
        f"On validation {model_name(model)} predicts the token of level {which} no better than a bigram "
        f"baseline: {cause}."
    )
