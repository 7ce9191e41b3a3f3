"""`sidkit rank`: Semantic IDs as features of a ranking model."""

from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from sidkit._core import SidLayout
from sidkit._files import write_text
from sidkit.cli.groups import with_groups
from sidkit.cli.options import Source
from sidkit.cli.progress import Watcher
from sidkit.cli.research.ranking import CodebookSize, Levels, RankingOptions, prepare
from sidkit.ranking import compare
from sidkit.tokenizers import RQKMeans
from sidkit.tokenizers.quality.coherence import Coherence, coherence_json, prefix_coherence

__all__ = ["command"]

_DEFAULTS = RankingOptions(num_embeddings=2048)


@with_groups
def command(
    source: Source,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Directory for all figures, `rank.json` and `coherence.json`."),
    ] = None,
    representations: Annotated[
        str,
        typer.Option(
            "--representations", help="Representations, separated by commas; `random` is the baseline."
        ),
    ] = "random,content,unigram,bigram,all,prefix,pieces",
    levels: Levels = 4,
    codebook_size: CodebookSize = 256,
    options: RankingOptions = _DEFAULTS,
) -> None:
    """Compare Semantic IDs with hashed item ids, as features of a ranking model.

    The log needs timestamps and ratings (or labels). Its last tenth in time is the test period.

    For example:
    `sidkit rank ml-100k --out runs/rank-ml-100k`
    """
    console = Console()
    ready = prepare(source, options, console)
    # Items that are new in the test period must be new to the tokenizer too.
    vectors = ready.items.vectors
    tokenizer = RQKMeans(levels=levels, codebook_size=codebook_size).fit(
        vectors[ready.split.train_counts > 0]
    )
    tokens = tokenizer.encode(vectors)
    with Watcher(console) as watcher:
        comparison = compare(
            ready.split,
            ready.items.with_codes(tokens, SidLayout(tokenizer.codebook_sizes)),
            representations=representations.split(","),
            settings=ready.settings,
            progress=watcher.started("train"),
        )
    coherence = prefix_coherence(vectors, tokens)
    console.print(_coherence(coherence))
    for part in ("all", "new items"):
        console.print(_table(comparison.summary(), part))
    if out is not None:
        write_text(out / "rank.json", comparison.to_json())
        write_text(out / "coherence.json", coherence_json(coherence))
        console.print(f"all figures are in {out / 'rank.json'}", highlight=False, soft_wrap=True)


def _coherence(found: list[Coherence]) -> Table:
    table = Table("tokens shared", "prefixes", "items", "pairs", "mean cosine", title="items under a prefix")
    for each in found:
        counts = (f"{count:,}" for count in (each.depth, each.prefixes, each.items, each.pairs))
        table.add_row(*counts, f"{each.cosine:.3f}")
    return table


def _table(summary: pl.DataFrame, part: str) -> Table:
    rows = summary.filter(pl.col("slice") == part)
    events = rows["events"][0] if len(rows) else 0
    heads = ("representation", "AUC", "within users", "log-loss")
    table = Table(*heads, title=f"{part}: {events:,} events (and the difference from random)")
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
