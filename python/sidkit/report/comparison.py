"""A page that sets several runs side by side: what differs in their settings, and what that is worth."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sidkit._files import write_text
from sidkit.errors import ConfigError, SidkitError
from sidkit.evaluate import Comparison, Metrics, Result, compare
from sidkit.report.accuracy import difference_table, headline_metric, metric_cell, shown_metrics
from sidkit.report.collect import RunData, read_run
from sidkit.report.identifiers import level_facts, unique_rate
from sidkit.report.markup import Markup, tag
from sidkit.report.page import document
from sidkit.report.plots import Estimate, intervals
from sidkit.report.training import duration
from sidkit.report.vocabulary import baseline_last, metric_name, model_classes, model_name

__all__ = ["comparison_page", "write_comparison"]


@dataclass(frozen=True)
class _Entry:
    """One model of one run."""

    run: RunData
    model: str
    label: str
    class_: str
    metrics: Metrics

    def find(self, metric: str) -> Result | None:
        return self.metrics.find(self.model, metric)


def write_comparison(runs: Sequence[str | os.PathLike[str] | RunData], path: str | os.PathLike[str]) -> Path:
    """Write a page that compares runs; the first one is what the others are compared with.

    Args:
        runs: two or more run directories, or what `read_run` gave.
        path: the HTML file.

    Returns:
        The path.

    Raises:
        ConfigError: if fewer than two runs are given, or none has results.
        RunDirectoryError, FormatError: as `read_run`.
    """
    data = [run if isinstance(run, RunData) else read_run(run) for run in runs]
    write_text(path, comparison_page(data))
    return Path(path)


def comparison_page(runs: Sequence[RunData]) -> str:
    """Give the page that compares runs as HTML; see `write_comparison`."""
    if len(runs) < 2:
        raise ConfigError(f"a comparison needs at least two runs, got {len(runs)}")
    names = _names(runs)
    entries = _entries(runs, names)
    if not entries:
        raise ConfigError(f"none of the runs {', '.join(names)} has results to compare; evaluate them first")
    title = " and ".join(names) if len(names) == 2 else f"{len(names)} runs"
    return document(
        f"{title} · sidkit",
        tag(
            "header",
            tag("p", "Comparison of runs", class_="kicker"),
            tag("h1", title),
            tag("p", ", ".join(dict.fromkeys(run.name for run in runs)), class_="lead"),
        ),
        _accuracy(entries),
        _differences(entries),
        _settings(runs, names),
        _identifiers(runs, names),
    )


def _names(runs: Sequence[RunData]) -> list[str]:
    """Name runs by their folders; equal names get the folder above in front."""
    short = [run.path.resolve().name for run in runs]
    return [
        f"{run.path.resolve().parent.name}/{name}" if short.count(name) > 1 else name
        for run, name in zip(runs, short, strict=True)
    ]


def _entries(runs: Sequence[RunData], names: Sequence[str]) -> list[_Entry]:
    measured = [
        (run, name, run.metrics) for run, name in zip(runs, names, strict=True) if run.metrics is not None
    ]
    classes = model_classes([model for _, _, metrics in measured for model in metrics.models])
    return [
        _Entry(run, model, f"{name} · {model_name(model)}", classes[model], metrics)
        for run, name, metrics in measured
        for model in baseline_last(metrics.models)
    ]


def _accuracy(entries: Sequence[_Entry]) -> list[Markup]:
    names = list(dict.fromkeys(name for entry in entries for name in shown_metrics(entry.metrics)))
    head = tag(
        "tr", tag("th", "run and model", scope="col"), [tag("th", metric_name(n), scope="col") for n in names]
    )
    best = {name: max((r.value for e in entries if (r := e.find(name))), default=None) for name in names}
    rows = [
        tag(
            "tr",
            tag("th", tag("span", class_=f"dot {entry.class_}"), entry.label, scope="row"),
            [metric_cell(entry.find(name), best[name]) for name in names],
        )
        for entry in entries
    ]
    protocols = list(dict.fromkeys(entry.metrics.protocol.sentence() for entry in entries))
    warning = "The runs were measured under different protocols: their numbers do not compare." * (
        len(protocols) > 1
    )
    return [
        tag("h2", "Accuracy"),
        *([tag("p", warning)] if warning else []),
        *(tag("p", protocol, ".", class_="note protocol") for protocol in protocols),
        *_plot(entries),
        tag("div", tag("table", tag("thead", head), tag("tbody", rows)), class_="scroll"),
    ]


def _plot(entries: Sequence[_Entry]) -> list[Markup]:
    metric = headline_metric(entries[0].metrics)
    estimates = [
        Estimate(entry.label, entry.class_, result.value, *result.ci95)
        for entry in entries
        if metric and (result := entry.find(metric)) and result.ci95
    ]
    if metric is None or not estimates:
        return []
    # About 7 pixels a character; what is longer runs to the left, off the drawing, but stays readable.
    label_width = min(320, 24 + 7 * max(len(estimate.label) for estimate in estimates))
    return [
        tag(
            "div",
            intervals(estimates, metric_name(metric), 420 + label_width, label_width=label_width),
            class_="row",
        )
    ]


def _differences(entries: Sequence[_Entry]) -> list[Markup]:
    first = [entry for entry in entries if entry.run is entries[0].run]
    found, problems = [], []
    for entry in entries[len(first) :]:
        baseline = next((own for own in first if own.model == entry.model), first[0])
        try:
            found.append((entry.label, baseline.label, _paired(entry, baseline)))
        except (SidkitError, KeyError) as error:
            reason = f"predictions of {error} are missing" if isinstance(error, KeyError) else str(error)
            problems.append(tag("p", f"{entry.label} − {baseline.label}: {reason}.", class_="note"))
    if not found and not problems:
        return []
    table = [difference_table(found)] if found else []
    return [tag("h2", "Differences"), *table, *problems]


def _paired(entry: _Entry, baseline: _Entry) -> Comparison:
    metric = headline_metric(baseline.metrics) or "ndcg@10"
    pairs = compare(
        entry.run.predictions[entry.model],
        baseline.run.predictions[baseline.model],
        max(entry.metrics.protocol.candidates, baseline.metrics.protocol.candidates),
        ks=[int(metric.partition("@")[2])],
    )
    return next(pair for pair in pairs if pair.metric == metric)


def _settings(runs: Sequence[RunData], names: Sequence[str]) -> list[Markup]:
    flat = [run.flat_settings for run in runs]
    keys = list(dict.fromkeys(key for settings in flat for key in settings))
    differing = [key for key in keys if len({settings.get(key) for settings in flat}) > 1]
    rows = [
        tag("tr", tag("th", key, scope="row"), [tag("td", settings.get(key, "–")) for settings in flat])
        for key in differing
    ]
    rows.append(
        tag(
            "tr",
            tag("th", "time of all stages", scope="row"),
            [tag("td", duration(sum(run.seconds.values())) if run.seconds else "–") for run in runs],
        )
    )
    head = tag("tr", [tag("th", title, scope="col") for title in ("setting", *names)])
    caption = tag("caption", "Settings in which the runs differ, and what they took.")
    table = tag("table", caption, tag("thead", head), tag("tbody", rows))
    return [tag("h2", "What differs"), tag("div", table, class_="scroll")]


def _identifiers(runs: Sequence[RunData], names: Sequence[str]) -> list[Markup]:
    facts = [(name, level_facts(run), unique_rate(run)) for run, name in zip(runs, names, strict=True)]
    if not any(levels for _, levels, _ in facts):
        return []
    titles = ("run", "unique codes", "codebook_size", "in use", "perplexity", "unexplained variance")
    head = tag("tr", [tag("th", title, scope="col") for title in titles])
    rows = []
    for name, levels, rate in facts:
        cells = (
            "–" if rate is None else f"{rate:.1%}",
            " / ".join(f"{level.size:,}" for level in levels),
            " / ".join(f"{level.used:,}" for level in levels),
            " / ".join(f"{level.perplexity:.0f}" for level in levels),
            " / ".join("–" if level.mse is None else f"{level.mse:.3f}" for level in levels),
        )
        rows.append(tag("tr", tag("th", name, scope="row"), [tag("td", cell) for cell in cells]))
    table = tag("table", tag("thead", head), tag("tbody", rows))
    return [tag("h2", "Semantic IDs"), tag("div", table, class_="scroll")]
