"""Page that compares several runs: differing settings and their effect on accuracy."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sidkit._arguments import checked
from sidkit._files import write_text
from sidkit.errors import ConfigError, SidkitError
from sidkit.evaluate import Comparison, Metrics, Result, compare
from sidkit.report.collect import RunData, read_run
from sidkit.report.headline import headline_metric, shown_metrics
from sidkit.report.html.accuracy import difference_table, metric_cell, protocol_note
from sidkit.report.html.blocks import contents, data_table, section
from sidkit.report.html.glossary import glossary
from sidkit.report.html.page import document
from sidkit.report.html.plots import Estimate, intervals
from sidkit.report.levels import level_facts, unique_rate
from sidkit.report.markup import Child, Markup, tag
from sidkit.report.names import baseline_last, metric_name, model_classes, model_name
from sidkit.report.numbers import duration

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


@checked
def write_comparison(runs: Sequence[str | os.PathLike[str] | RunData], path: str | os.PathLike[str]) -> Path:
    """Write a page that compares runs; the first run is the baseline.

    Args:
        runs: two or more run directories, or results of `read_run`.
        path: the HTML file.

    Returns:
        The path.

    Raises:
        ConfigError: if there are fewer than two runs, or none has results.
        RunDirectoryError, FormatError: as `read_run`.
    """
    data = [run if isinstance(run, RunData) else read_run(run) for run in runs]
    write_text(path, comparison_page(data))
    return Path(path)


@checked
def comparison_page(runs: Sequence[RunData]) -> str:
    """Return the comparison page as HTML, see `write_comparison`."""
    if len(runs) < 2:
        raise ConfigError(f"a comparison needs at least two runs, got {len(runs)}")
    names = _names(runs)
    entries = _entries(runs, names)
    if not entries:
        raise ConfigError(f"none of the runs {', '.join(names)} has results to compare. Evaluate them first")
    title = " and ".join(names) if len(names) == 2 else f"{len(names)} runs"
    sections = {
        "Accuracy": _accuracy(entries),
        "Differences": _differences(entries),
        "Settings": _settings(runs, names),
        "Semantic IDs": _identifiers(runs, names),
        "Glossary": glossary(),
    }
    present = {name: made for name, made in sections.items() if made}
    return document(
        f"{title} · sidkit",
        tag(
            "header",
            tag("p", "Comparison of runs", class_="kicker"),
            tag("h1", title),
            tag("p", ", ".join(dict.fromkeys(run.name for run in runs)), class_="lead"),
        ),
        contents(list(present)),
        *present.values(),
    )


def _names(runs: Sequence[RunData]) -> list[str]:
    """Name runs by their directories; equal names are preceded by the parent directory."""
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


def _common_settings(entries: Sequence[_Entry]) -> list[bool]:
    """List the `exclude_seen` settings that all runs were evaluated with."""
    return [
        setting
        for setting in (True, False)
        if all(setting in entry.metrics.protocol.exclude_seen for entry in entries)
    ]


def _under(entries: Sequence[_Entry], setting: bool) -> list[_Entry]:
    return [replace(entry, metrics=entry.metrics.under(setting)) for entry in entries]


def _accuracy(entries: Sequence[_Entry]) -> list[Markup]:
    common = [_under(entries, setting) for setting in _common_settings(entries)]
    tables = common or [list(entries)]
    protocols = list(dict.fromkeys(entry.metrics.protocol.sentence() for entry in tables[0]))
    warning = "The runs were measured under different protocols: their metrics are not comparable."
    return section(
        "Accuracy",
        tag("p", warning) if len(protocols) > 1 else None,
        [protocol_note(protocol) for protocol in protocols],
        _plot(tables[0]),
        [_table(each, captioned=bool(common)) for each in tables],
    )


def _table(entries: Sequence[_Entry], *, captioned: bool) -> Markup:
    names = list(dict.fromkeys(name for entry in entries for name in shown_metrics(entry.metrics)))
    best = {name: max((r.value for e in entries if (r := e.find(name))), default=None) for name in names}
    rows: list[list[Child]] = [
        [
            [tag("span", class_=f"dot {entry.class_}"), entry.label],
            *(metric_cell(entry.find(name), best[name]) for name in names),
        ]
        for entry in entries
    ]
    phrase = entries[0].metrics.protocol.seen_phrase()
    caption = f"{phrase[0].upper()}{phrase[1:]}." if captioned else None
    return data_table(["run and model", *map(metric_name, names)], rows, caption=caption)


def _plot(entries: Sequence[_Entry]) -> list[Markup]:
    metric = headline_metric(entries[0].metrics)
    estimates = [
        Estimate(entry.label, entry.class_, result.value, *result.ci95)
        for entry in entries
        if metric and (result := entry.find(metric)) and result.ci95
    ]
    if metric is None or not estimates:
        return []
    return [tag("div", intervals(estimates, metric_name(metric)), class_="row")]


def _differences(entries: Sequence[_Entry]) -> list[Markup]:
    first = [entry for entry in entries if entry.run is entries[0].run]
    setting = next(iter(_common_settings(entries)), True)
    found, problems = [], []
    for entry in entries[len(first) :]:
        baseline = next((own for own in first if own.model == entry.model), first[0])
        try:
            found.append((entry.label, baseline.label, _paired(entry, baseline, setting)))
        except (SidkitError, KeyError) as error:
            reason = f"predictions of {error} are missing" if isinstance(error, KeyError) else str(error)
            problems.append(tag("p", f"{entry.label} − {baseline.label}: {reason}.", class_="note"))
    return section("Differences", difference_table(found) if found else None, problems)


def _paired(entry: _Entry, baseline: _Entry, setting: bool) -> Comparison:
    metric = headline_metric(baseline.metrics) or "ndcg@10"
    pairs = compare(
        entry.run.lists(setting)[entry.model],
        baseline.run.lists(setting)[baseline.model],
        max(entry.metrics.protocol.candidates, baseline.metrics.protocol.candidates),
        ks=[int(metric.partition("@")[2])],
    )
    return next(pair for pair in pairs if pair.metric == metric)


def _settings(runs: Sequence[RunData], names: Sequence[str]) -> list[Markup]:
    flat = [run.flat_settings for run in runs]
    keys = list(dict.fromkeys(key for settings in flat for key in settings))
    differing = [key for key in keys if len({settings.get(key) for settings in flat}) > 1]
    rows = [[key, *(settings.get(key, "–") for settings in flat)] for key in differing]
    times = [duration(sum(run.seconds.values())) if run.seconds else "–" for run in runs]
    caption = "Settings that differ between the runs, and the time of all stages."
    return section(
        "Settings",
        data_table(["setting", *names], [*rows, ["time of all stages", *times]], caption=caption),
    )


def _identifiers(runs: Sequence[RunData], names: Sequence[str]) -> list[Markup]:
    facts = [(name, level_facts(run), unique_rate(run)) for run, name in zip(runs, names, strict=True)]
    if not any(levels for _, levels, _ in facts):
        return []
    titles = ("run", "unique codes", "codebook size", "in use", "perplexity", "unexplained variance")
    rows = [
        (
            name,
            "–" if rate is None else f"{rate:.1%}",
            " / ".join(f"{level.codebook_size:,}" for level in levels),
            " / ".join(f"{level.used:,}" for level in levels),
            " / ".join(f"{level.perplexity:.0f}" for level in levels),
            " / ".join("–" if level.mse is None else f"{level.mse:.3f}" for level in levels),
        )
        for name, levels, rate in facts
    ]
    return section("Semantic IDs", data_table(titles, rows))
