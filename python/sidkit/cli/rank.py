"""`sidkit rank`: what Semantic IDs are worth as features of a ranking model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from sidkit.cli.groups import with_groups
from sidkit.cli.options import Source
from sidkit.cli.progress import Watcher
from sidkit.cli.ranking import Codes, Levels, RankingOptions, prepare

if TYPE_CHECKING:
    import polars as pl

    from sidkit.tokenizers.quality.coherence import Coherence

__all__ = ["NAME", "command"]

NAME = "rank"
_DEFAULTS = RankingOptions(rows=2048)


@with_groups
def command(
    source: Source,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A folder for all figures, in `rank.json` and `coherence.json`."),
    ] = None,
    representations: Annotated[
        str, typer.Option("--representations", help="Which to compare, by commas; `random` is the base.")
    ] = "random,content,unigram,bigram,all,prefix,pieces",
    levels: Levels = 4,
    codes: Codes = 256,
    options: RankingOptions = _DEFAULTS,
) -> None:
    """Compare Semantic IDs with a random hash of the item's id, in a ranking model.

    The log needs times and ratings (or labels). Its last tenth in time is the test period.

    For example:
    `sidkit rank ml-100k --out runs/rank-ml-100k`
    """
    from sidkit import SidLayout
    from sidkit._files import write_text
    from sidkit.ranking import compare
    from sidkit.tokenizers import RQKMeans
    from sidkit.tokenizers.quality.coherence import coherence_json, prefix_coherence

    console = Console()
    ready = prepare(source, options, console)
    # What is new in the test period must be new to the tokenizer too.
    tokenizer = RQKMeans(levels=levels, codebook_size=codes).fit(ready.vectors[ready.split.train_counts > 0])
    tokens = tokenizer.encode(ready.vectors)
    with Watcher(console) as watcher:
        comparison = compare(
            ready.split,
            codes=tokens,
            layout=SidLayout(tokenizer.codebook_sizes),
            representations=representations.split(","),
            **ready.trial,
            progress=watcher.started("train"),
        )
    coherence = prefix_coherence(ready.vectors, tokens)
    console.print(_coherence(coherence))
    for part in ("all", "new items"):
        console.print(_table(comparison.summary(), part))
    if out is not None:
        write_text(out / "rank.json", comparison.to_json())
        write_text(out / "coherence.json", coherence_json(coherence))
        console.print(f"all figures are in {out / 'rank.json'}", highlight=False, soft_wrap=True)


def _coherence(found: "list[Coherence]") -> Table:
    table = Table("tokens shared", "prefixes", "items", "pairs", "mean cosine", title="items under a prefix")
    for each in found:
        counts = (f"{count:,}" for count in (each.depth, each.prefixes, each.items, each.pairs))
        table.add_row(*counts, f"{each.cosine:.3f}")
    return table


def _table(summary: "pl.DataFrame", part: str) -> Table:
    import polars as pl

    rows = summary.filter(pl.col("slice") == part)
    events = rows["events"][0] if len(rows) else 0
    heads = ("representation", "AUC", "within users", "log-loss")
    table = Table(*heads, title=f"{part}: {events:,} events (and the difference to random)")
    for (name,), figures in rows.group_by("representation", maintain_order=True):
        cells = []
        for metric in ("auc", "user_auc", "log_loss"):
            row = figures.row(by_predicate=pl.col("metric") == metric, named=True)
            cells.append(_cell(row["mean"], row["difference"], row["difference_half_width"]))
        table.add_row(str(name), *cells)
    return table


def _cell(mean: float, difference: float | None, half_width: float | None) -> str:
    if difference is None:  # `random` was not among them
        return f"{mean:.3f}"
    known = half_width is not None and half_width == half_width
    return f"{mean:.3f} ({difference:+.3f}{f' ± {half_width:.3f}' if known else ''})"
