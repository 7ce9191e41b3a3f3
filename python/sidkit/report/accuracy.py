"""The section on accuracy: every model, with intervals, slices and the rules of the measurement."""

from collections.abc import Sequence

from sidkit.errors import SidkitError
from sidkit.evaluate import Comparison, Metrics, Result, compare
from sidkit.report.charts import number
from sidkit.report.collect import RunData
from sidkit.report.markup import Markup, tag
from sidkit.report.plots import Estimate, intervals
from sidkit.report.vocabulary import baseline_last, metric_name, model_classes, model_name

__all__ = ["accuracy", "difference_table", "headline_metric", "metric_cell", "shown_metrics"]

_WITH_INTERVALS = ("recall", "ndcg", "mrr")


def headline_metric(metrics: Metrics) -> str | None:
    """Name the metric that stands for all: NDCG@10, else the NDCG with the highest cut-off there is."""
    cutoffs = sorted(_cutoffs(metrics, "ndcg"))
    if not cutoffs:
        return None
    return f"ndcg@{10 if 10 in cutoffs else cutoffs[-1]}"


def shown_metrics(metrics: Metrics) -> list[str]:
    """Name the metrics of the main table: Recall and NDCG at two cut-offs, MRR and coverage at one."""
    cutoffs = sorted(_cutoffs(metrics, "ndcg"))
    pair = [5, 10] if {5, 10} <= set(cutoffs) else cutoffs[-2:]
    names = [f"{kind}@{k}" for k in pair for kind in ("recall", "ndcg")]
    names += [f"{kind}@{pair[-1]}" for kind in ("mrr", "coverage")] if pair else []
    present = {result.metric for result in metrics.results}
    return [name for name in names if name in present]


def accuracy(run: RunData) -> list[Markup]:
    """Show what the models reach."""
    metrics = run.metrics
    if metrics is None or not metrics.results:
        return []
    return [
        tag("h2", "Accuracy"),
        tag("p", metrics.protocol.sentence(), ".", class_="note protocol"),
        tag("div", _plots(metrics), class_="row"),
        _table(metrics),
        *_differences(run, metrics),
        *_slices(metrics),
        *_lists(metrics),
    ]


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


def _table(metrics: Metrics, slice_: str = "all") -> Markup:
    names = shown_metrics(metrics)
    classes = model_classes(metrics.models)
    head = tag("tr", tag("th", "model", scope="col"), [tag("th", metric_name(n), scope="col") for n in names])
    best = {name: _best(metrics, name, slice_) for name in names}
    rows = [
        tag(
            "tr",
            tag("th", tag("span", class_=f"dot {classes[model]}"), model_name(model), scope="row"),
            [metric_cell(metrics.find(model, name, slice_), best[name]) for name in names],
        )
        for model in baseline_last(metrics.models)
    ]
    return tag("div", tag("table", tag("thead", head), tag("tbody", rows)), class_="scroll")


def metric_cell(result: Result | None, best: float | None) -> Markup:
    """Write a number with its interval under it; it is set off if it is the best of its column."""
    if result is None:
        return tag("td", "–")
    is_best = result.value == best and not result.metric.startswith("coverage")
    ends = tag("small", f"{number(result.ci95[0])} – {number(result.ci95[1])}") if result.ci95 else None
    return tag("td", number(result.value), ends, class_="best" if is_best else None)


def _best(metrics: Metrics, metric: str, slice_: str) -> float | None:
    values = [result.value for result in metrics.results if (result.metric, result.slice) == (metric, slice_)]
    return max(values, default=None)


def _differences(run: RunData, metrics: Metrics) -> list[Markup]:
    comparisons = _compare_all(run, metrics)
    if not comparisons:
        return []
    rows = [(model_name(c.model), model_name(c.baseline), c) for c in comparisons]
    return [tag("h3", "Differences"), difference_table(rows)]


def difference_table(comparisons: Sequence[tuple[str, str, Comparison]]) -> Markup:
    """Lay out paired differences; each comes with the names of the two that are compared."""
    rows = [
        tag(
            "tr",
            tag("th", f"{name} − {baseline}", scope="row"),
            tag("td", metric_name(c.metric)),
            tag("td", f"{c.difference:+.4f}"),
            tag("td", f"{c.ci95[0]:+.4f} … {c.ci95[1]:+.4f}"),
            tag("td", "yes" if c.significant else "no"),
        )
        for name, baseline, c in comparisons
    ]
    titles = ("pair", "metric", "difference", "95 % interval", "beyond chance")
    head = tag("tr", [tag("th", title, scope="col") for title in titles])
    caption = tag("caption", "The same users under two models, difference by difference.")
    return tag("div", tag("table", caption, tag("thead", head), tag("tbody", rows)), class_="scroll")


def _compare_all(run: RunData, metrics: Metrics) -> Sequence[Comparison]:
    headline = headline_metric(metrics)
    models = [model for model in baseline_last(metrics.models) if model in run.predictions]
    if headline is None or len(models) < 2:
        return []
    k = int(headline.partition("@")[2])
    first, found = run.predictions[models[0]], []
    for other in models[1:]:
        try:
            pairs = compare(first, run.predictions[other], metrics.protocol.candidates, ks=[k])
        except SidkitError:
            # Predictions of another data set or with shorter lists: the table above still stands.
            continue
        found += [pair for pair in pairs if pair.metric == headline]
    return found


def _slices(metrics: Metrics) -> list[Markup]:
    names = list(dict.fromkeys(result.slice for result in metrics.results if result.slice != "all"))
    headline = headline_metric(metrics)
    if not names or headline is None:
        return []
    models = baseline_last(metrics.models)
    titles = ["users", "number", *map(model_name, models)]
    head = tag("tr", [tag("th", title, scope="col") for title in titles])
    rows = []
    for name in names:
        users = metrics.slices.get(name)
        best = _best(metrics, headline, name)
        cells = [metric_cell(metrics.find(model, headline, name), best) for model in models]
        rows.append(
            tag(
                "tr",
                tag("th", _slice_name(name), scope="row"),
                tag("td", "–" if users is None else f"{users:,}"),
                cells,
            )
        )
    return [
        tag(
            "details",
            tag("summary", f"{metric_name(headline)} by group of users"),
            tag("div", tag("table", tag("thead", head), tag("tbody", rows)), class_="scroll"),
        )
    ]


def _slice_name(name: str) -> str:
    kind, _, bounds = name.partition(" ")
    span = bounds.replace("-", "–")
    if kind == "history":
        return f"history of {span} items"
    if kind == "target":
        return (
            "next item never seen in training"
            if bounds == "0"
            else f"next item seen {span} times in training"
        )
    return name


def _lists(metrics: Metrics) -> list[Markup]:
    headline = headline_metric(metrics)
    if headline is None:
        return []
    k = headline.partition("@")[2]
    kinds = [kind for kind in _LISTS if _cutoffs(metrics, kind)]
    if not kinds:
        return []
    head = tag(
        "tr", tag("th", "model", scope="col"), [tag("th", _LISTS[kind], scope="col") for kind in kinds]
    )
    rows = []
    for model in baseline_last(metrics.models):
        found = [metrics.find(model, f"{kind}@{k}") for kind in kinds]
        cells = [
            tag("td", "–" if r is None else f"{r.value:,.0f}" if kind == "distinct" else f"{r.value:.1%}")
            for kind, r in zip(kinds, found, strict=True)
        ]
        rows.append(tag("tr", tag("th", model_name(model), scope="row"), cells))
    return [
        tag("h3", f"What the first {k} places show"),
        tag("div", tag("table", tag("thead", head), tag("tbody", rows)), class_="scroll"),
    ]


_LISTS = {
    "distinct": "distinct items",
    "coverage": "of the catalogue",
    "popular": "from the most popular 1 %",
    "filled": "places filled",
    "overlap": "shared by two users",
    "swapped": "Recall if users were swapped",
}


def _cutoffs(metrics: Metrics, kind: str) -> set[int]:
    parts = (result.metric.partition("@") for result in metrics.results)
    return {int(k) for name, _, k in parts if name == kind and k.isdigit()}
