"""`sidkit beams`: accuracy and speed of several beam widths."""

from pathlib import Path
from typing import Annotated

import typer

from sidkit.cli.options import RunPath
from sidkit.experiments.beam_width import measure_beams, save_beams
from sidkit.report.tables.experiments.beams import beams_table

__all__ = ["command"]


def command(
    run: RunPath,
    model: Annotated[
        str, typer.Option("--model", help="A trained generative model of the run.")
    ] = "rqtransformer",
    beam: Annotated[
        list[int] | None, typer.Option("--beam", help="A beam width, 10 or more; may be repeated.")
    ] = None,
    users: Annotated[
        int, typer.Option("--users", min=0, help="Number of test users, drawn at random; 0 for all.")
    ] = 0,
    exclude_seen: Annotated[
        bool, typer.Option("--exclude-seen", help="Exclude the items of each history.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="The file; by default `beams-<model>.json` in the run.")
    ] = None,
) -> None:
    """Recommend to test users with several beams and, where the model can, by scoring every item.

    Prints Recall@10 and NDCG@10 with intervals, paired differences from the exact lists, and the speed.

    For example:

    `sidkit beams runs/beauty --beam 10 --beam 50 --users 2000`

    `sidkit beams runs/beauty --out benches/results/beauty/rqtransformer-seed0/beams.json`
    """
    found = measure_beams(
        run, model=model, beams=beam or (10, 20, 50, 100), users=users, exclude_seen=exclude_seen
    )
    place = out or run / f"beams-{model}.json"
    save_beams(found, place)
    typer.echo(f"{beams_table(found)}\n{place}")
