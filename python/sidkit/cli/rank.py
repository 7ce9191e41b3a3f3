"""`sidkit rank`: what Semantic IDs are worth as features of a ranking model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from sidkit.cli.options import Source
from sidkit.cli.progress import Watcher

if TYPE_CHECKING:
    import polars as pl

    from sidkit.rank import Coherence

__all__ = ["NAME", "command"]

NAME = "rank"


def command(
    source: Source,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder for `rank.json`, which holds all figures.")
    ] = None,
    representations: Annotated[
        str, typer.Option("--representations", help="Which to compare, by commas; `random` is the base.")
    ] = "random,content,unigram,bigram,all,prefix,pieces",
    levels: Annotated[int, typer.Option("--levels", min=1, help="Levels of the Semantic IDs.")] = 4,
    codes: Annotated[int, typer.Option("--codes", min=2, help="Codes of each level.")] = 256,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows of each representation's table.")] = 2048,
    dim: Annotated[int, typer.Option("--dim", min=1, help="Length of the vectors.")] = 16,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings of each representation.")] = 5,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Epochs at most.")] = 8,
    liked: Annotated[float, typer.Option("--liked", help="Ratings from here on are positive.")] = 4.0,
    template: Annotated[
        str | None, typer.Option("--template", help="Text of an item, as in `sidkit embed`.")
    ] = None,
) -> None:
    """Compare Semantic IDs with a random hash of the item's id, in a ranking model.

    The log needs times and ratings (or labels). Its last tenth in time is the test period.

    For example:
    `sidkit rank ml-100k --out runs/rank-ml-100k`
    """
    from sidkit import SidLayout
    from sidkit._files import write_text
    from sidkit.data import cache_folder, load_dataset
    from sidkit.embed import embed_texts, item_texts
    from sidkit.quantize import RQKMeans
    from sidkit.rank import compare, impressions, prefix_coherence, split_by_time

    console = Console()
    dataset = load_dataset(source)
    split = split_by_time(impressions(dataset, liked=liked), len(dataset.items))
    texts = item_texts(dataset.items, template)
    with Watcher(console) as watcher:
        vectors = embed_texts(texts, cache=cache_folder() / "vectors", progress=watcher.started("embed"))
    # What is new in the test period must be new to the tokenizer too.
    tokenizer = RQKMeans(levels=levels, codes=codes).fit(vectors[split.train_counts > 0])
    digits = tokenizer.encode(vectors)
    with Watcher(console) as watcher:
        comparison = compare(
            split,
            users=len(dataset.user_ids),
            item_ids=dataset.item_ids,
            vectors=vectors,
            codes=digits,
            layout=SidLayout(tokenizer.sizes),
            representations=representations.split(","),
            rows=rows,
            dim=dim,
            seeds=range(seeds),
            epochs=epochs,
            progress=watcher.started("train"),
        )
    console.print(_coherence(prefix_coherence(vectors, digits)))
    for part in ("all", "new items"):
        console.print(_table(comparison.summary(), part))
    if out is not None:
        write_text(out / "rank.json", comparison.to_json())
        console.print(f"all figures are in {out / 'rank.json'}", highlight=False, soft_wrap=True)


def _coherence(found: "list[Coherence]") -> Table:
    table = Table("digits shared", "prefixes", "items", "pairs", "mean cosine", title="items under a prefix")
    for each in found:
        counts = (f"{count:,}" for count in (each.depth, each.prefixes, each.items, each.pairs))
        table.add_row(*counts, f"{each.cosine:.3f}")
    return table


def _table(summary: "pl.DataFrame", part: str) -> Table:
    import polars as pl

    rows = summary.filter(pl.col("slice") == part)
    events = rows["events"][0] if len(rows) else 0
    table = Table(
        "representation", "AUC", "to random", "log-loss", "to random", title=f"{part}: {events:,} events"
    )
    for (name,), figures in rows.group_by("representation", maintain_order=True):
        cells = []
        for metric in ("auc", "log_loss"):
            row = figures.row(by_predicate=pl.col("metric") == metric, named=True)
            cells.append(f"{row['mean']:.4f} ± {row['half_width'] or 0:.4f}")
            cells.append(f"{row['difference'] or 0:+.4f} ± {row['difference_half_width'] or 0:.4f}")
        table.add_row(str(name), *cells)
    return table
