"""The page: one HTML file that needs nothing else, to look at, to print and to send to someone."""

import os
from importlib.resources import files
from pathlib import Path

from sidkit import __version__
from sidkit._files import write_text
from sidkit.data import Dataset
from sidkit.report.accuracy import accuracy, headline_metric
from sidkit.report.charts import number
from sidkit.report.collect import RunData, read_run
from sidkit.report.examples import prefixes, users
from sidkit.report.identifiers import identifiers, level_facts, sid_markup, unique_rate
from sidkit.report.markup import Child, Markup, tag
from sidkit.report.origin import data_facts, data_section, origin
from sidkit.report.remarks import remarks_section
from sidkit.report.training import duration, training
from sidkit.report.vocabulary import metric_name, model_name

__all__ = ["document", "page", "write_page"]

# The page may style itself, and nothing else: no script, no picture, no request.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def write_page(
    run: str | os.PathLike[str] | RunData,
    path: str | os.PathLike[str] | None = None,
    *,
    dataset: Dataset | None = None,
) -> Path:
    """Write the page of a run.

    Args:
        run: the run directory, or what `read_run` gave.
        path: the file; `report.html` in the run directory if not given.
        dataset: the run's dataset if it is at hand, see `read_run`.

    Returns:
        The path of the page.

    Raises:
        RunDirectoryError: if there is no run.
        FormatError: if one of its files is truncated or foreign.
    """
    data = run if isinstance(run, RunData) else read_run(run, dataset=dataset)
    target = data.path / "report.html" if path is None else Path(path)
    write_text(target, page(data))
    return target


def page(run: RunData) -> str:
    """Give the page of a run as HTML. Equal runs give equal pages."""
    return document(
        f"{run.name} · sidkit",
        _header(run),
        accuracy(run),
        remarks_section(run),
        users(run),
        identifiers(run),
        prefixes(run),
        training(run),
        data_section(run),
        origin(run),
    )


def document(title: str, *sections: Child) -> str:
    """Give a whole HTML document: head, style sheet, the sections, and by what it was made."""
    style = Markup(files("sidkit.report").joinpath("page.css").read_text(encoding="utf-8"))
    main = tag("main", sections, tag("footer", f"Made by sidkit {__version__}."))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", style),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', main), lang='en')}\n"


def _header(run: RunData) -> Markup:
    facts = data_facts(run)
    lead = " · ".join(f"{value:,} {name}" for name, value in facts.items())
    return tag(
        "header",
        tag("p", "Semantic IDs, from text to recommendations", class_="kicker"),
        tag("h1", run.name),
        tag("p", lead, class_="lead") if lead else None,
        _figures(run),
    )


def _figures(run: RunData) -> Markup | None:
    figures: list[tuple[str, Child, str]] = [*_best_model(run)]
    rate = unique_rate(run)
    if rate is not None:
        levels = level_facts(run)
        shape = " × ".join(f"{level.size:,}" for level in levels)
        figures.append(("unique codes", f"{rate:.1%}", f"{shape} codes"))
    if run.table is not None and len(run.table):
        title = run.titles[0] if run.titles else ""
        figures.append(("an item's Semantic ID", sid_markup(run.table.tokens[0]), title[:60]))
    if run.seconds:
        figures.append(("time of all stages", duration(sum(run.seconds.values())), _cores(run)))
    if not figures:
        return None
    cards = [
        tag("div", tag("dt", name), tag("dd", value, tag("small", note)), class_="figure")
        for name, value, note in figures
    ]
    return tag("dl", cards, class_="figures")


def _best_model(run: RunData) -> list[tuple[str, Child, str]]:
    metric = headline_metric(run.metrics) if run.metrics else None
    if run.metrics is None or metric is None:
        return []
    results = [found for model in run.metrics.models if (found := run.metrics.find(model, metric))]
    best = max(results, key=lambda result: result.value, default=None)
    if best is None:
        return []
    note = f"{number(best.ci95[0])} – {number(best.ci95[1])}" if best.ci95 else ""
    return [(f"{metric_name(metric)}, {model_name(best.model)}", number(best.value), note)]


def _cores(run: RunData) -> str:
    cores = run.metrics.machine.get("cores") if run.metrics else None
    return f"on {cores} cores" if cores else ""
