"""What stands out in a run, in words: models that fell short of what they should reach, and the likely cause.

Each remark comes from stored figures alone, so that it can be checked against them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sidkit.evaluate import Metrics
from sidkit.report.accuracy import headline_metric
from sidkit.report.charts import number
from sidkit.report.collect import RunData
from sidkit.report.markup import Markup, tag
from sidkit.report.vocabulary import baseline_last, metric_name, model_name

__all__ = ["remarks", "remarks_section"]

_BASELINE = "popularity"
_ENOUGH = 2.0  # times the metric of popularity: less, and a model has learned little of its users
_EARLY = 0.7  # share of the training after which the best weights are "late"
_DRIFT = 0.8  # test below this share of validation: the last events differ from those before
_BLIND = 0.5  # share of a model's Recall that it would have with other users' lists
_FEW = 0.5  # share of the distinct items of the most varied model


def remarks_section(run: RunData) -> list[Markup]:
    """Show the remarks, if there are any."""
    found = remarks(run)
    if not found:
        return []
    return [tag("h3", "What stands out"), *(tag("p", text) for text in found)]


def remarks(run: RunData) -> list[str]:
    """Say of every trained model that falls short why that is likely.

    A model falls short if its headline metric is less than twice that of popularity, or if all its lists
    together hold less than half the items of the most varied model, or if they would be half as good dealt
    out to other users, or if a token of the next item is foretold no better than by a table of token pairs.
    """
    metrics = run.metrics
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
    # One training may rank in several ways; its validation asked the one that joins the others, if any does.
    trained = model.partition("-")[0]
    joined = f"{trained}-fused"
    validated = model == (joined if joined in metrics.models else trained)
    causes = [*_course(run.histories.get(trained, {}), ours.value if validated else None, headline, metrics)]
    others = [
        (result.value, other)
        for other in metrics.models
        # What was trained together with this model falls short for the same reasons.
        if other.partition("-")[0] not in (trained, _BASELINE) and (result := metrics.find(other, headline))
    ]
    best = max(others, default=None)
    if best is not None:
        share = best[0] / base.value
        reach = f"The best other model, {model_name(best[1])}, reaches {share:.2f} times popularity"
        causes.append(
            f"{reach}: there is little to learn from the order of events here"
            if best[0] < 1.25 * _ENOUGH * base.value
            else f"{reach}, so the data holds more than this model found"
        )
    times = ours.value / base.value
    found = (
        f"{model_name(model)} reaches {metric_name(headline)} {number(ours.value)}, {times:.2f} times "
        f"that of popularity ({number(base.value)}), where {_ENOUGH:.0f} times is expected"
    )
    yield ". ".join([found, *causes]) + "."


def _course(history: Mapping[str, Any], test: float | None, headline: str, metrics: Metrics) -> Iterator[str]:
    """What the course of a training says; `test` is None for a ranking that its validation did not ask."""
    steps = history.get("steps") or [{}]
    last, best = steps[-1].get("step", 0), history.get("best_step", 0)
    measured = [entry["metrics"].get(headline) for entry in history.get("evaluations", [])]
    values = [value for value in measured if isinstance(value, int | float)]
    if not last or not values:
        return
    if best >= _EARLY * last:
        yield (
            f"It was still improving on validation near its end (best at step {best:,} of {last:,}): "
            "train it longer"
        )
    else:
        yield (
            f"On validation it was best at step {best:,} of {last:,}: more steps do not help, "
            "more dropout or other sizes may"
        )
    if test is not None and test < _DRIFT * max(values):
        harder = (
            "the last event of a user is harder to foresee than the one before it"
            if metrics.protocol.split == "leave_last_out"
            else "the events of the test period are harder to foresee than those of validation"
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
            f"All lists of {model_name(model)} together hold {distinct[model]:,.0f} different items, "
            f"those of {model_name(widest)} {distinct[widest]:,.0f}: it recommends nearly the same to "
            "everyone, as a model does that is not trained to its end."
        )


def _blind(metrics: Metrics, model: str, headline: str) -> Iterator[str]:
    k = headline.partition("@")[2]
    recall, swapped = metrics.find(model, f"recall@{k}"), metrics.find(model, f"swapped@{k}")
    if recall is None or swapped is None or recall.value <= 0 or swapped.value < _BLIND * recall.value:
        return
    overlap = metrics.find(model, f"overlap@{k}")
    alike = f", and two users share {overlap.value:.0%} of their lists" if overlap is not None else ""
    yield (
        f"Dealt out to other users, the lists of {model_name(model)} would still have a Recall@{k} of "
        f"{number(swapped.value)} (its own is {number(recall.value)}){alike}: it goes by what is popular "
        "more than by the history it reads, as a model does that is not trained to its end, or whose "
        "histories do not reach it in the right order."
    )


def _unlearned(metrics: Metrics, model: str) -> Iterator[str]:
    """Name the levels at which a generator is no better than a table of token pairs."""
    told = metrics.diagnostics.get(model, {})
    losses = list(zip(told.get("level_loss", []), told.get("bigram_loss", []), strict=False))
    worse = [level for level, (ours, table) in enumerate(losses) if ours >= table]
    if not worse:
        return
    which = ", ".join(f"{level} ({losses[level][0]:.2f} against {losses[level][1]:.2f})" for level in worse)
    cause = (
        "it has not learned what follows what: train it longer, or with another learning rate"
        if 0 in worse
        else "the first level is learned, those below it are not: their tokens say little that recurs, so "
        "fewer codes a level or more training may help"
    )
    yield (
        f"On validation {model_name(model)} foretells the token of level {which} no better than a table of "
        f"which token follows which: {cause}."
    )
