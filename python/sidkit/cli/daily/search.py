"""`sidkit search`: the documents for a query, from a run over a document collection."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sidkit.cli.options import RunPath
from sidkit.report.markup import clean
from sidkit.run.search import open_search_run

__all__ = ["command"]


def command(
    run: RunPath,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="The text of the query.")],
    k: Annotated[int, typer.Option("-k", min=1, help="Number of documents.")] = 10,
    model: Annotated[
        str | None, typer.Option("--model", help="A retriever of the run; by default the last one, `hybrid`.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")] = False,
) -> None:
    """Search the documents of a run: titles, Semantic IDs and scores.

    For example:

    `sidkit search runs/nfcorpus "statins and breast cancer"`

    `sidkit search runs/nfcorpus "statins" -k 5 --model sid --json`
    """
    opened = open_search_run(run)
    retriever = opened.retriever(model)
    sids = next(
        (part.sids_ for part in [retriever, *getattr(retriever, "parts_", [])] if hasattr(part, "sids_")),
        None,
    )
    rows, scores = retriever.search_rows([query], k)
    found = []
    for row, score in zip(rows[0].tolist(), scores[0].tolist(), strict=True):
        if row >= 0:
            doc_id, title = retriever.documents_.row(row)
            sid = None if sids is None else sids[doc_id]
            found.append({"doc_id": doc_id, "title": title, "sid": sid, "score": score})
    if as_json:
        typer.echo(json.dumps({"query": query, "model": retriever.method, "documents": found}, indent=2))
        return
    console = Console(markup=False)
    if not found:
        console.print("no document has a word of the query")
        return
    table = Table("document", "title", *(["sid"] if sids is not None else []), title_justify="left")
    table.add_column("score", justify="right")
    for each in found:
        sid = [each["sid"]] if sids is not None else []
        table.add_row(clean(str(each["doc_id"])), clean(each["title"]), *sid, f"{each['score']:.3f}")
    console.print(table)
