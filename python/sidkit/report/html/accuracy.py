"""Section on accuracy: every model with intervals, for both `exclude_seen` settings, and user slices."""

from collections.abc import Sequence

from sidkit.evaluate import Comparison, Metrics, Result
from sidkit.report.collect import RunData
from sidkit.report.headline import cutoffs, headline_metric, shown_metrics
from sidkit.report.html.blocks import data_table, prose, section
from sidkit.report.html.plots import Estimate, intervals
from sidkit.report.markup import Child, Markup, tag
from sidkit.report.names import baseline_last, cold_title, metric_name, model_classes, model_name
from sidkit.report.numbers import number
from sidkit.report.remarks import paired_comparisons, remarks

__all__ = ["accuracy", "difference_table", "metric_cell", "protocol_note"]

_EXPLAINED = {
    True: "Seen items excluded: items of a user's history are not recommended, as in `recommend`.",
    False: "Seen items included: items of a user's history may be recommended again. Much of the literature "
    "reports this setting.",
}


def accuracy(run: RunData) -> list[Markup]:
    """Show the accuracy of the models."""
    if run.metrics is None or not run.metrics.results:
        return []
    first, *others = (run.metrics.under(setting) for setting in run.metrics.protocol.exclude_seen)
    return section(
        "Accuracy",
        protocol_note(run.metrics.protocol.sentence()),
        tag("div", _plots(first), class_="row"),
        _table(first),
        [_table(each) for each in others if each.results],
        _cold_table(first),
        _differences(run, first),
        _slices(first),
        _lists(first),
        _remarks(run),
    )


def protocol_note(sentence: str) -> Markup:
    """Describe the evaluation protocol above a table."""
    return tag("p", tag("strong", "Evaluation protocol: "), sentence, ".", class_="note protocol")


def _plots(metrics: Metrics) -> list[Markup]:
    classes = model_classes(metrics.models)
    headline = headline_metric(metrics)
    if headline is None:
        return []
    drawn = []
    for metric in (headline, headline.replace("ndcg", "recall")):
        estimates = [
            Estimate(model_name(result.model), classes[result.model], result.value, *result.ci95)
            for model in baseline_last(metrics.models)
            if (result := metrics.find(model, metric)) and result.ci95
        ]
        if estimates:
            drawn.append(intervals(estimates, metric_name(metric)))
    return drawn


def _table(metrics: Metrics) -> Markup:
    names = shown_metrics(metrics)
    classes = model_classes(metrics.models)
    best = {name: _best(metrics, name, "all") for name in names}
    rows: list[list[Child]] = [
        [
            [tag("span", class_=f"dot {classes[model]}"), model_name(model)],
            *(metric_cell(metrics.find(model, name), best[name]) for name in names),
        ]
        for model in baseline_last(metrics.models)
    ]
    caption = prose(_EXPLAINED[metrics.protocol.exclude_seen[0]])
    return data_table(["model", *map(metric_name, names)], rows, caption=caption)


def _cold_table(metrics: Metrics) -> list[Markup]:
    """Show warm and cold targets of each model, for the splits that are about cold items."""
    shown = metrics.cold_start
    if not shown:
        return []
    best = {pair: _best(metrics, *pair) if pair[1] != "all" else None for pair in shown}
    rows: list[list[Child]] = [
        [model_name(model), *(metric_cell(metrics.find(model, *pair), best[pair]) for pair in shown)]
        for model in baseline_last(metrics.models)
    ]
    caption = "Warm targets occur in training, cold targets do not."
    titles = ["model", *(cold_title(*pair) for pair in shown)]
    return [tag("h3", "Warm and cold targets"), data_table(titles, rows, caption=caption)]


def metric_cell(result: Result | None, best: float | None) -> Markup:
    """Write a value with its interval below; the best of a column is bold."""
    if result is None:
        return tag("td", "–")
    is_best = result.value == best and not result.metric.startswith("coverage")
    ends = tag("small", f"{number(result.ci95[0])} – {number(result.ci95[1])}") if result.ci95 else None
    return tag("td", number(result.value), ends, class_="best" if is_best else None)


def _best(metrics: Metrics, metric: str, slice_: str) -> float | None:
    values = [result.value for result in metrics.results if (result.metric, result.slice) == (metric, slice_)]
    return max(values, default=None)


def _differences(run: RunData, metrics: Metrics) -> list[Markup]:
    headline = headline_metric(metrics)
    setting = metrics.protocol.exclude_seen[0]
    models = [model for model in baseline_last(metrics.models) if model in run.lists(setting)]
    if headline is None or len(models) < 2:
        return []
    comparisons = paired_comparisons(run, models[0], models[1:], headline, exclude_seen=setting)
    if not comparisons:
        return []
    rows = [(model_name(c.model), model_name(c.baseline), c) for c in comparisons]
    return [tag("h3", "Differences"), difference_table(rows)]


def difference_table(comparisons: Sequence[tuple[str, str, Comparison]]) -> Markup:
    """Lay out paired differences, each with the names of the two models."""
    rows = [
        (
            f"{name} − {baseline}",
            metric_name(c.metric),
            f"{c.difference:+.4f}",
            f"{c.ci95[0]:+.4f} … {c.ci95[1]:+.4f}",
            "yes" if c.significant else "no",
        )
        for name, baseline, c in comparisons
    ]
    titles = ("pair", "metric", "difference", "95 % interval", "significant")
    return data_table(titles, rows, caption="Paired differences over the same users.")


def _slices(metrics: Metrics) -> list[Markup]:
    names = list(dict.fromkeys(result.slice for result in metrics.results if result.slice != "all"))
    headline = headline_metric(metrics)
    if not names or headline is None:
        return []
    models = baseline_last(metrics.models)
    rows: list[list[Child]] = []
    for name in names:
        users = metrics.slices.get(name)
        best = _best(metrics, headline, name)
        cells = [metric_cell(metrics.find(model, headline, name), best) for model in models]
        rows.append([_slice_name(name), "–" if users is None else f"{users:,}", *cells])
    titles = ["slice", "users", *map(model_name, models)]
    caption = f"{metric_name(headline)} by history length and by popularity of the target."
    return [
        tag(
            "details",
            tag("summary", f"{metric_name(headline)} by user slice"),
            data_table(titles, rows, caption=caption),
        )
    ]


def _slice_name(name: str) -> str:
    kind, _, bounds = name.partition(" ")
    span = bounds.replace("-", "–")
    if kind == "history":
        return f"history of {span} items"
    if kind == "target":
        return "target not in training" if bounds == "0" else f"target {span} times in training"
    return name


def _lists(metrics: Metrics) -> list[Markup]:
    headline = headline_metric(metrics)
    if headline is None:
        return []
    k = headline.partition("@")[2]
    kinds = [kind for kind in _LISTS if cutoffs(metrics, kind)]
    if not kinds:
        return []
    rows: list[list[Child]] = []
    for model in baseline_last(metrics.models):
        found = [metrics.find(model, f"{kind}@{k}") for kind in kinds]
        cells = [
            "–" if r is None else f"{r.value:,.0f}" if kind == "distinct" else f"{r.value:.1%}"
            for kind, r in zip(kinds, found, strict=True)
        ]
        rows.append([model_name(model), *cells])
    caption = f"Figures of the first {k} items of all lists; see the glossary."
    return [
        tag("h3", "Diversity of the lists"),
        data_table(["model", *(_LISTS[kind] for kind in kinds)], rows, caption=caption),
    ]


_LISTS = {
    "distinct": "distinct items",
    "coverage": "catalogue coverage",
    "popular": "popular items",
    "filled": "filled positions",
    "list_overlap": "list overlap",
    "shuffled_history_recall": "shuffled-history recall",
}


def _remarks(run: RunData) -> list[Markup]:
    found = remarks(run)
    if not found:
        return []
    return [tag("h3", "What stands out"), tag("ul", [tag("li", text) for text in found], class_="remarks")]
