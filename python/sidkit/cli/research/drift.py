"""`sidkit drift`: tokenizers of earlier and later items."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sidkit._files import write_text
from sidkit.cli.groups import with_groups
from sidkit.cli.options import Source
from sidkit.cli.progress import Watcher
from sidkit.cli.research.ranking import CodebookSize, Levels, RankingOptions, Representation, prepare
from sidkit.experiments.drift import retrain
from sidkit.experiments.sweep import make_tokenizer, sweep_grid
from sidkit.ranking import Retraining

__all__ = ["command"]

_DEFAULTS = RankingOptions()


@with_groups
def command(
    source: Source,
    out: Annotated[
        Path | None, typer.Option("--out", help="Directory for `drift.json`, which holds all figures.")
    ] = None,
    tokenizer: Annotated[
        str, typer.Option("--tokenizer", help="Name of a tokenizer, such as `rqkmeans` or `rqvae`.")
    ] = "rqkmeans",
    representation: Representation = "all",
    levels: Levels = 4,
    codebook_size: CodebookSize = 64,
    options: RankingOptions = _DEFAULTS,
) -> None:
    """Fit tokenizers to the earlier and to the later half of the items, and compare their Semantic IDs.

    The halves follow the first appearance in the log. The tables show the changes of prefixes between the two
    tokenizers and between two seeds, and the ranking model with the Semantic IDs of each.

    For example:
    `sidkit drift ml-100k --out runs/drift-ml-100k`
    """
    (shape,) = sweep_grid([tokenizer], [levels], [codebook_size])
    console = Console()
    ready = prepare(source, options, console)
    with Watcher(console) as watcher:
        found = retrain(
            ready.split,
            lambda seed: make_tokenizer(shape, seed=seed),
            representation=representation,
            items=ready.items,
            settings=ready.settings,
            progress=watcher.started("train"),
        )
    console.print(_moves(found))
    console.print(_quality(found))
    if out is not None:
        write_text(out / "drift.json", found.to_json())
        console.print(f"all figures are in {out / 'drift.json'}", highlight=False, soft_wrap=True)


def _moves(found: Retraining) -> Table:
    table = Table(
        "tokens",
        "same",
        "remapped",
        "information",
        "remapped, other seed",
        "information, other seed",
        title="share of items with the same prefix, earlier and later tokenizer",
    )
    for moved, seed in zip(found.moved, found.moved_by_seed, strict=True):
        figures = (moved.agreement, moved.remapped, moved.information, seed.remapped, seed.information)
        table.add_row(str(moved.depth), *(f"{value:.3f}" for value in figures))
    return table


def _quality(found: Retraining) -> Table:
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
