"""Section on training: loss and validation curves, and the costs of each model."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from sidkit.report.charts import Point
from sidkit.report.collect import RunData
from sidkit.report.costs import cost_rows
from sidkit.report.html.blocks import data_table, section
from sidkit.report.html.plots import Series, curves
from sidkit.report.markup import Markup, tag
from sidkit.report.names import baseline_last, metric_name, model_classes, model_name

__all__ = ["training"]

# More points than this cannot be distinguished on the page.
_MOST_POINTS = 400


def training(run: RunData) -> list[Markup]:
    """Show the course of each training."""
    if not run.histories:
        return []
    drawn = [*_losses(run), *_validation(run)]
    titles, *rows = cost_rows(run)
    return section("Training", tag("div", drawn, class_="row") if drawn else None, data_table(titles, rows))


def _losses(run: RunData) -> list[Markup]:
    # Losses of items and of tokens are not comparable, so each model has its own plot.
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
            title = f"{metric_name(metric)} on validation"
            return [curves(series, title, "epochs", from_zero=True, width=420)]
    return []


def _points(measured: Iterable[tuple[Mapping[str, Any], Any]]) -> list[Point]:
    """Place finite values over epochs, thinned out to a readable number."""
    points = [
        (float(entry.get("epoch", entry["step"])), float(value))
        for entry, value in measured
        if isinstance(value, int | float) and math.isfinite(value)
    ]
    every = max(1, len(points) // _MOST_POINTS)
    kept = points[::every]
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]
