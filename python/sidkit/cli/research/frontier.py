"""`sidkit frontier`: accuracy against diversity and popularity, for each re-ranker."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from sidkit._files import write_text
from sidkit.cli.options import RunPath
from sidkit.cli.progress import Watcher
from sidkit.experiments.frontier import measure_frontier, save_frontier, within_loss
from sidkit.report.frontier import METHODS, frontier_plot
from sidkit.report.names import model_name

__all__ = ["command"]

#: Metric, whether lower is better, and the loss of NDCG up to which it is reported.
_GOALS = (("diversity", False, 0.03), ("average_popularity", True, 0.05))


def command(
    run: RunPath,
    model: Annotated[
        str | None, typer.Option("--model", help="A trained model of the run; by default a generative one.")
    ] = None,
    users: Annotated[
        int, typer.Option("--users", min=0, help="Number of validation users, drawn at random; 0 for all.")
    ] = 0,
    k: Annotated[int, typer.Option("-k", min=1, help="Length of the lists.")] = 10,
    candidates: Annotated[
        int, typer.Option("--candidates", min=1, help="Items that are re-ranked, at least the length.")
    ] = 200,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The JSON file; by default `frontier-<model>.json` in the run."),
    ] = None,
) -> None:
    """Re-rank the lists of a model for validation users, and draw what accuracy costs.

    MMR, DPP, max-sum diversification and popularity correction are applied at ten values of their parameter
    each. The plot, an SVG file beside the JSON file, shows NDCG against intra-list diversity and against
    average popularity.

    For example:

    `sidkit frontier runs/beauty --model sasrec`
    """
    console = Console()
    with Watcher(console) as watcher:
        found = measure_frontier(
            run, model=model, users=users, k=k, candidates=candidates, progress=watcher.started("frontier")
        )
    place = out or run / f"frontier-{found['model']}.json"
    save_frontier(found, place)
    write_text(place.with_suffix(".svg"), frontier_plot(found))
    console.print(_table(found))
    console.print(f"{place}\n{place.with_suffix('.svg')}", highlight=False, soft_wrap=True)


def _table(found: dict[str, Any]) -> Table:
    names = [f"{name}@{found['k']}" for name in ("ndcg", "diversity", "average_popularity")]
    heads = ("NDCG", "diversity", "popularity")
    table = Table(model_name(found["model"]), *heads, title=f"top {found['k']}")
    plain = found["points"][0]
    table.add_row("not re-ranked", *(f"{plain['metrics'][name]['value']:.4g}" for name in names))
    for metric, lowest, loss in _GOALS:
        table.add_section()
        goal = f"{'least' if lowest else 'most'} {metric.replace('_', ' ')}, NDCG −{loss:.0%} at most"
        table.add_row(goal)
        for method, name in METHODS.items():
            methods = ["plain", method]
            point = within_loss(found, f"{metric}@{found['k']}", loss, methods=methods, lowest=lowest)
            if point is None or point["method"] == "plain":
                table.add_row(f"  {name}", "–", "–", "–")
                continue
            figures = (point["metrics"][each] for each in names)
            cells = (f"{each['value']:.4g} ({each['change']:+.1%})" for each in figures)
            table.add_row(f"  {name}, {point['parameter']} {point['value']:g}", *cells)
    return table
