"""`sidkit drift`: what a tokenizer of older items does to Semantic IDs and to a ranking model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from sidkit.cli.groups import with_groups
from sidkit.cli.options import Source
from sidkit.cli.progress import Watcher
from sidkit.cli.ranking import Codes, Levels, RankingOptions, Representation, prepare

if TYPE_CHECKING:
    from sidkit.experiments.retrain import Retraining

__all__ = ["NAME", "command"]

NAME = "drift"
_DEFAULTS = RankingOptions()


@with_groups
def command(
    source: Source,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder for `drift.json`, which holds all figures.")
    ] = None,
    tokenizer: Annotated[str, typer.Option("--tokenizer", help="`rqkmeans`, `rqvae` or `pq`.")] = "rqkmeans",
    representation: Representation = "all",
    levels: Levels = 4,
    codes: Codes = 64,
    options: RankingOptions = _DEFAULTS,
) -> None:
    """Train tokenizers on the earlier and on the later half of the items, and compare what comes of it.

    Halves are by first appearance in the log. Shown are how prefixes move from one to the other, beside how
    they move between two seeds, and the ranking model with the Semantic IDs of each.

    For example:
    `sidkit drift ml-100k --out runs/drift-ml-100k`
    """
    from sidkit._files import write_text
    from sidkit.experiments.retrain import retrain
    from sidkit.experiments.sweep import make_tokenizer, sweep_grid

    (shape,) = sweep_grid([tokenizer], [levels], [codes])
    console = Console()
    ready = prepare(source, options, console)
    with Watcher(console) as watcher:
        found = retrain(
            ready.split,
            lambda seed: make_tokenizer(shape, seed=seed),
            representation=representation,
            **ready.trial,
            progress=watcher.started("train"),
        )
    console.print(_moves(found))
    console.print(_quality(found))
    if out is not None:
        write_text(out / "drift.json", found.to_json())
        console.print(f"all figures are in {out / 'drift.json'}", highlight=False, soft_wrap=True)


def _moves(found: "Retraining") -> Table:
    table = Table(
        "tokens",
        "same",
        "remapped",
        "information",
        "remapped, other seed",
        "information, other seed",
        title="items whose prefix stayed, from the earlier to the later tokenizer",
    )
    for moved, seed in zip(found.moved, found.moved_by_seed, strict=True):
        figures = (moved.agreement, moved.remapped, moved.information, seed.remapped, seed.information)
        table.add_row(str(moved.depth), *(f"{value:.3f}" for value in figures))
    return table


def _quality(found: "Retraining") -> Table:
    table = Table("Semantic IDs from", "trained on items", "AUC, all", "AUC, new items", title="ranking")
    means = {
        (row["representation"], row["slice"]): row["mean"]
        for row in found.comparison.summary().to_dicts()
        if row["metric"] == "auc"
    }
    for name in found.comparison.parameters:
        cells = (means.get((name, part)) for part in ("all", "new items"))
        shown = ["–" if cell is None else f"{cell:.4f}" for cell in cells]
        table.add_row(name, f"{found.trained_on.get(name, 0):,}", *shown)
    return table
