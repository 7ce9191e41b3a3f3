"""`sidkit beams`: what a wider beam buys a trained generator, and what it costs."""

from pathlib import Path
from typing import Annotated

import typer

from sidkit.cli.options import RunPath

__all__ = ["NAME", "command"]

NAME = "beams"


def command(
    run: RunPath,
    model: Annotated[str, typer.Option("--model", help="A trained generator of the run.")] = "rqtransformer",
    beam: Annotated[
        list[int] | None, typer.Option("--beam", help="A width, 10 or more; may be repeated.")
    ] = None,
    users: Annotated[
        int, typer.Option("--users", min=0, help="How many test users, drawn at random; 0 for all.")
    ] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="The file; `beams-<model>.json` in the run if not given.")
    ] = None,
) -> None:
    """Recommend to test users with several beams and, where the model can, by scoring every item.

    Prints Recall@10 and NDCG@10 with intervals, their paired differences from the exact lists, and the speed.

    For example:

    `sidkit beams runs/beauty --beam 10 --beam 50 --users 2000`

    `sidkit beams runs/beauty --out benches/results/beauty/rqtransformer-seed0/beams.json`
    """
    from sidkit.experiments.beam_width import measure_beams, save_beams
    from sidkit.report.beams import beams_table

    found = measure_beams(run, model=model, beams=beam or (10, 20, 50, 100), users=users)
    place = out or run / f"beams-{model}.json"
    save_beams(found, place)
    typer.echo(f"{beams_table(found)}\n{place}")
