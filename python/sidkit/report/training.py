"""The section on training: how each model's loss fell, and what it cost."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from sidkit.report.charts import Point
from sidkit.report.collect import RunData
from sidkit.report.markup import Markup, tag
from sidkit.report.plots import Series, curves
from sidkit.report.vocabulary import baseline_last, metric_name, model_classes, model_name

__all__ = ["cost_rows", "duration", "memory", "operations", "share", "training"]

# More points than this cannot be told apart on the page.
_MOST_POINTS = 400


def training(run: RunData) -> list[Markup]:
    """Show the course of each training."""
    if not run.histories:
        return []
    parts: list[Markup] = [tag("h2", "Training")]
    drawn = [*_losses(run), *_validation(run)]
    if drawn:
        parts.append(tag("div", drawn, class_="row"))
    parts.append(_costs(run))
    return parts


def _losses(run: RunData) -> list[Markup]:
    # Losses of two models are not comparable: one predicts items, another tokens. So each has its own plot.
    classes = model_classes(list(run.histories))
    plots = []
    for model in baseline_last(list(run.histories)):
        points = _points((entry, entry["loss"]) for entry in run.histories[model]["steps"])
        if points:
            name = model_name(model)
            plots.append(curves([Series(name, classes[model], points)], f"{name}: training loss", "epochs"))
    return plots


def _validation(run: RunData) -> list[Markup]:
    classes = model_classes(list(run.histories))
    for metric in ("ndcg@10", "recall@10"):
        series = []
        for model in baseline_last(list(run.histories)):
            entries = run.histories[model]["evaluations"]
            points = _points((entry, entry["metrics"].get(metric)) for entry in entries)
            if points:
                series.append(Series(model_name(model), classes[model], points))
        if series:
            return [curves(series, f"{metric_name(metric)} on validation", "epochs", from_zero=True)]
    return []


def _points(measured: Iterable[tuple[Mapping[str, Any], Any]]) -> list[Point]:
    """Place values over epochs, as many as can be told apart; not those of a diverged model."""
    points = [
        (float(entry.get("epoch", entry["step"])), float(value))
        for entry, value in measured
        if isinstance(value, int | float) and math.isfinite(value)
    ]
    every = max(1, len(points) // _MOST_POINTS)
    kept = points[::every]
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]


def cost_rows(run: RunData) -> list[tuple[str, ...]]:
    """What each training took: a row of titles, and one row a model; none without a training."""
    if not run.histories:
        return []
    rows: list[tuple[str, ...]] = [
        (
            "model",
            "parameters",
            "steps",
            "best step",
            "time",
            "tokens per second",
            "Tflop",
            "share of matmul speed",
            "peak memory",
        )
    ]
    for model in baseline_last(list(run.histories)):
        history = run.histories[model]
        steps = history.get("steps", [])
        last = steps[-1] if steps else {}
        rows.append(
            (
                model_name(model),
                _count(history.get("parameters")),
                _count(last.get("step")),
                _count(history.get("best_step")),
                duration(history.get("seconds")),
                # Histories of earlier versions have it by steps alone.
                _count(history.get("tokens_per_second") or last.get("tokens_per_second")),
                operations(history.get("flops")),
                share(history.get("gemm_share")),
                memory(history.get("peak_memory_bytes")),
            )
        )
    return rows


def _costs(run: RunData) -> Markup:
    titles, *rows = cost_rows(run)
    head = tag("tr", [tag("th", title, scope="col") for title in titles])
    body = [
        tag("tr", tag("th", model, scope="row"), [tag("td", cell) for cell in cells])
        for model, *cells in rows
    ]
    return tag("div", tag("table", tag("thead", head), tag("tbody", body)), class_="scroll")


def _count(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) and value else "–"


def operations(flops: Any) -> str:
    """Write a number of operations in units of 10¹²: `1,234` or `0.56`."""
    if not isinstance(flops, int | float) or not flops:
        return "–"
    units = flops / 1e12
    return f"{units:,.0f}" if units >= 1000 else f"{units:.3g}"


def share(value: Any) -> str:
    """Write a share from 0 to 1 in percent: `41 %`."""
    return f"{value:.0%}".replace("%", " %") if isinstance(value, int | float) and value else "–"


def duration(seconds: Any) -> str:
    """Write a time: `42 s`, `6.5 min`, `1.2 h`."""
    if not isinstance(seconds, int | float):
        return "–"
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def memory(size: Any) -> str:
    """Write a number of bytes: `1.4 GB`."""
    return f"{size / 1e9:.1f} GB" if isinstance(size, int | float) and size else "–"
