"""Page of a run over a document collection: metrics, and queries with their results."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._files import write_text
from sidkit.report.html.blocks import contents, data_table, section
from sidkit.report.html.page import document
from sidkit.report.markup import Child, Markup, tag
from sidkit.search import Collection, QuerySet

__all__ = ["search_page", "write_search_page"]

_QUERIES, _SHOWN = 12, 5


def write_search_page(
    path: str | os.PathLike[str],
    metrics: Mapping[str, Any],
    collection: Collection,
    queries: QuerySet,
    lists: Mapping[str, npt.NDArray[np.integer]],
) -> None:
    """Write the page; the arguments are those of `search_page`."""
    write_text(path, search_page(metrics, collection, queries, lists))


def search_page(
    metrics: Mapping[str, Any],
    collection: Collection,
    queries: QuerySet,
    lists: Mapping[str, npt.NDArray[np.integer]],
) -> str:
    """Return the page of a run as HTML. Equal runs give equal pages.

    Args:
        metrics: contents of `metrics.json`.
        collection: the documents.
        queries: evaluated queries with their relevance labels.
        lists: document rows (queries, k) of every retriever, the main one last.
    """
    facts = f"{metrics['documents']:,} documents · {metrics['queries']:,} {metrics['evaluated_on']} queries"
    sections = {
        "Accuracy": section("Accuracy", _results(metrics), _comparisons(metrics)),
        "Queries": section("Queries", *_examples(collection, queries, lists)),
    }
    header = tag(
        "header",
        tag("p", "Semantic IDs and search", class_="kicker"),
        tag("h1", collection.name or "documents"),
        tag("p", facts, class_="lead"),
    )
    title = f"{collection.name or 'documents'} · sidkit"
    return document(title, header, contents(list(sections)), *sections.values())


def _results(metrics: Mapping[str, Any]) -> Markup:
    results = metrics["results"]
    names = list(next(iter(results.values())))
    rows: list[list[Child]] = [
        [
            model,
            *(
                tag(
                    "td", f"{figure['mean']:.4f}", tag("small", "{:.4f} – {:.4f}".format(*figure["interval"]))
                )
                for figure in (figures[name] for name in names)
            ),
        ]
        for model, figures in results.items()
    ]
    caption = "Means over queries with 95 % bootstrap intervals; all documents are candidates."
    return data_table(["retriever", *names], rows, caption=caption)


def _comparisons(metrics: Mapping[str, Any]) -> Markup | None:
    rows = [
        (
            f"{each['model']} − {each['baseline']}",
            each["metric"],
            f"{each['difference']:+.4f}",
            "{:+.4f} … {:+.4f}".format(*each["interval"]),
            f"{each['p_value']:.4f}",
            f"{each['wins']} / {each['losses']}",
        )
        for each in metrics["comparisons"]
    ]
    titles = ("pair", "metric", "difference", "95 % interval", "p", "better / worse queries")
    return data_table(titles, rows, caption="Paired differences over the same queries.") if rows else None


def _examples(
    collection: Collection, queries: QuerySet, lists: Mapping[str, npt.NDArray[np.integer]]
) -> list[Markup]:
    """Show a sample of queries: the first results of every retriever, with their relevance."""
    ids = collection.doc_ids.to_list()
    titled = "title" in collection.documents.columns
    titles = collection.documents["title"].to_list() if titled else ids
    chosen = np.unique(np.linspace(0, len(queries) - 1, min(_QUERIES, len(queries))).astype(int))
    return [_example(int(row), queries, lists, ids, titles) for row in chosen]


def _example(
    row: int,
    queries: QuerySet,
    lists: Mapping[str, npt.NDArray[np.integer]],
    ids: Sequence[Any],
    titles: Sequence[Any],
) -> Markup:
    labels = queries.query_rows == row
    relevance = dict(zip(queries.doc_rows[labels].tolist(), queries.relevance[labels].tolist(), strict=True))
    total = sum(level >= 1 for level in relevance.values())
    rows: list[list[Child]] = []
    for place in range(_SHOWN):
        cells: list[Child] = [str(place + 1)]
        for found in lists.values():
            doc = int(found[row, place]) if place < found.shape[1] else -1
            level = relevance.get(doc, 0)
            mark = tag("strong", f"relevance {level}") if level >= 1 else None
            text = "–" if doc < 0 else f"{ids[doc]} {str(titles[doc] or '')[:70]}"
            cells.append(tag("td", text, tag("small", mark) if mark else None))
        rows.append(cells)
    caption = f"{queries.texts[row]} ({total} relevant {'document' if total == 1 else 'documents'})"
    return data_table(["rank", *lists], rows, caption=caption)
