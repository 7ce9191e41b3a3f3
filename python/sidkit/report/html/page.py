"""Page of a run: one HTML file for the screen, for print and to send."""

import os
from importlib.resources import files
from pathlib import Path

from sidkit._arguments import checked
from sidkit._core import __version__
from sidkit._files import write_text
from sidkit.data import Dataset
from sidkit.report.collect import RunData, read_run
from sidkit.report.html.accuracy import accuracy
from sidkit.report.html.alignment import alignment
from sidkit.report.html.blocks import contents
from sidkit.report.html.examples import prefixes, users
from sidkit.report.html.glossary import glossary
from sidkit.report.html.identifiers import identifiers, sid_markup
from sidkit.report.html.provenance import data_facts, data_section, provenance
from sidkit.report.html.training import training
from sidkit.report.levels import level_facts, unique_rate
from sidkit.report.markup import Child, Markup, tag
from sidkit.report.names import metric_name, model_name
from sidkit.report.numbers import duration, number
from sidkit.report.remarks import best_result, conclusion

__all__ = ["document", "page", "write_page"]

# The page may use inline styles and nothing else: no script, no image, no request.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@checked
def write_page(
    run: str | os.PathLike[str] | RunData,
    path: str | os.PathLike[str] | None = None,
    *,
    dataset: Dataset | None = None,
) -> Path:
    """Write the page of a run.

    Args:
        run: the run directory, or the result of `read_run`.
        path: the file; `report.html` in the run directory if None.
        dataset: the dataset of the run if it is loaded already, see `read_run`.

    Returns:
        The path of the page.

    Raises:
        RunDirectoryError: if there is no run.
        FormatError: if one of its files is damaged.
    """
    data = run if isinstance(run, RunData) else read_run(run, dataset=dataset)
    target = data.path / "report.html" if path is None else Path(path)
    write_text(target, page(data))
    return target


@checked
def page(run: RunData) -> str:
    """Return the page of a run as HTML. Equal runs give equal pages."""
    sections = {
        "Accuracy": accuracy(run),
        "Recommendations": users(run),
        "Semantic IDs": identifiers(run),
        "Items by prefix": prefixes(run),
        "Training": training(run),
        "Alignment": alignment(run),
        "Data": data_section(run),
        "Provenance": provenance(run),
        "Glossary": glossary(),
    }
    present = {title: made for title, made in sections.items() if made}
    return document(f"{run.name} · sidkit", _header(run), contents(list(present)), *present.values())


def document(title: str, *sections: Child) -> str:
    """Return a complete HTML document: head, style sheet, the sections and the version."""
    style = Markup(files("sidkit.report.html").joinpath("page.css").read_text(encoding="utf-8"))
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
    summary = conclusion(run)
    return tag(
        "header",
        tag("p", "Semantic IDs and recommendations", class_="kicker"),
        tag("h1", run.name),
        tag("p", lead, class_="lead") if lead else None,
        tag("p", summary, class_="conclusion") if summary else None,
        _figures(run),
    )


def _figures(run: RunData) -> Markup | None:
    figures: list[tuple[str, Child, str]] = [*_best_model(run)]
    rate = unique_rate(run)
    if rate is not None:
        shape = " × ".join(f"{level.codebook_size:,}" for level in level_facts(run))
        figures.append(("unique codes", f"{rate:.1%}", f"{shape} codes"))
    if run.table is not None and len(run.table):
        title = run.titles[0] if run.titles else ""
        figures.append(("Semantic ID of an item", sid_markup(run.table.tokens[0]), title[:60]))
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
    best = best_result(run.metrics) if run.metrics is not None else None
    if best is None:
        return []
    note = f"{number(best.ci95[0])} – {number(best.ci95[1])}" if best.ci95 else ""
    return [(f"{metric_name(best.metric)}, {model_name(best.model)}", number(best.value), note)]


def _cores(run: RunData) -> str:
    cores = run.metrics.machine.get("cores") if run.metrics else None
    return f"on {cores} cores" if cores else ""
