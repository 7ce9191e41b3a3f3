"""Plot of a sweep: one panel per tokenizer and slice, one line per number of levels."""

from collections.abc import Sequence

import polars as pl

from sidkit.ranking import Sweep
from sidkit.report.charts import Board, Scale
from sidkit.report.markup import Markup, tag
from sidkit.report.numbers import number, short

__all__ = ["sweep_plot"]

WIDTH, HEIGHT, HEAD = 262, 228, 80

NAMES = {"rqkmeans": "residual k-means", "rqvae": "RQ-VAE", "pq": "product quantization"}
METRICS = {"auc": "AUC", "user_auc": "AUC within users", "log_loss": "log-loss"}

# The drawing is a separate file, so it includes its colours.
STYLE = """
svg { font: 11.5px ui-sans-serif, system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
  --paper: #fcfcfa; --ink: #22252b; --soft: #646a76; --hair: #e4e6ea;
  --s0: #21618c; --s1: #c0582b; --s2: #4b7f52; --s3: #7c5295; --s4: #a8812c; }
@media (prefers-color-scheme: dark) { svg { --paper: #16181c; --ink: #e4e6ea; --soft: #9aa1ad;
  --hair: #2a2e35; --s0: #6cb2e3; --s1: #e99269; --s2: #85bf8d; --s3: #b797d1; --s4: #d8b766; } }
.paper { fill: var(--paper); }
text { fill: var(--soft); } .title { fill: var(--ink); font-size: 13px; font-weight: 600; }
.name { fill: var(--ink); font-size: 12.5px; }
.grid { stroke: var(--hair); stroke-width: 1; fill: none; }
.random, .content { stroke: var(--soft); stroke-width: 1.2; fill: none; }
.random { stroke-dasharray: 4 3; } .content { stroke-dasharray: 1 3; stroke-linecap: round; stroke-width: 2; }
.curve { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; }
.whisker { fill: none; stroke: var(--c); stroke-width: 3; stroke-linecap: round; opacity: .4; }
.mark { fill: var(--c); }
.s0 { --c: var(--s0); } .s1 { --c: var(--s1); } .s2 { --c: var(--s2); } .s3 { --c: var(--s3); }
.s4 { --c: var(--s4); }
"""


def sweep_plot(sweep: Sweep, metric: str = "auc", slices: Sequence[str] = ("all", "new items")) -> str:
    """Draw a sweep as SVG: codebook size on the x-axis, a metric with 95 % intervals on the y-axis.

    Args:
        sweep: the results.
        metric: `auc`, `user_auc` or `log_loss`.
        slices: slices with one row of panels each; missing slices are omitted.
    """
    table = sweep.table().filter(pl.col("metric") == metric, pl.col("mean").is_finite())
    shown = [part for part in slices if part in table["slice"]]
    tokenizers = list(dict.fromkeys(each.cell.tokenizer for each in sweep.cells))
    levels = sorted({each.cell.levels for each in sweep.cells})
    width, height = WIDTH * len(tokenizers), HEAD + HEIGHT * len(shown)
    panels: list[Markup] = []
    for row, part in enumerate(shown):
        rows = table.filter(pl.col("slice") == part)
        scale = _vertical(rows)
        for column, tokenizer in enumerate(tokenizers):
            name = f"{NAMES.get(tokenizer, tokenizer)}, {part}"
            board = Board(WIDTH, HEIGHT, left=46, right=14, top=38, bottom=48)
            _panel(board, rows, tokenizer, levels, scale, name, METRICS.get(metric, metric))
            drawn = board.svg(name)
            panels.append(tag("g", drawn, transform=f"translate({WIDTH * column} {HEAD + HEIGHT * row})"))
    settings = sweep.baselines.settings
    title = f"{METRICS.get(metric, metric)} of {sweep.representation} n-grams by shape of the Semantic ID"
    size = f"{settings['num_embeddings']:,} embeddings of {settings['dim']}"
    budget = f"{size}, {len(settings['seeds'])} seeds, 95 % intervals"
    return tag(
        "svg",
        tag("title", title),
        Markup(f"<style>{STYLE}</style>"),
        tag("rect", width=width, height=height, class_="paper"),
        _head(title, budget, levels),
        panels,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
    )


def _vertical(rows: pl.DataFrame) -> tuple[float, float]:
    """Return the common vertical range of the panels of a slice."""
    half = pl.col("half_width").fill_nan(0).fill_null(0)
    low, high = rows.select(low=(pl.col("mean") - half).min(), high=(pl.col("mean") + half).max()).row(0)
    room = 0.06 * (high - low) or 0.01
    return low - room, high + room


def _head(title: str, budget: str, levels: Sequence[int]) -> list[Markup]:
    board = Board(0, 0)
    board.text(12, 20, title, "title")
    board.text(12, 38, budget, "tick")
    x = 12.0
    for place, count in enumerate(levels):
        board.line([(x, 58), (x + 22, 58)], f"curve s{place % 5}")
        board.dot(x + 11, 58, f"mark s{place % 5}", radius=3.5)
        board.text(x + 28, 62, f"{count} levels" if count > 1 else "1 level", "name")
        x += 96
    for class_, name in (("random", "random hash"), ("content", "content vector")):
        board.line([(x, 58), (x + 22, 58)], class_)
        board.text(x + 28, 62, name, "name")
        x += 122
    return board.marks()


def _panel(
    board: Board,
    rows: pl.DataFrame,
    tokenizer: str,
    levels: Sequence[int],
    ends: tuple[float, float],
    title: str,
    label: str,
) -> None:
    sizes = sorted(set(rows["codebook_size"].drop_nulls()))
    # Equal margins; the range is positive even if there is one size only.
    x = Scale(sizes[0] / 1.4, sizes[-1] * 1.4, board.left, board.right, log=True)
    y = board.upward(*ends)
    board.text(12, 14, title, "title")
    board.vertical_axis(y, label)
    for size in sizes:
        board.line([(x(size), board.top), (x(size), board.bottom)], "grid")
        board.text(x(size), board.bottom + 14, str(size), "tick", anchor="middle")
    board.text((board.left + board.right) / 2, board.height - 16, "codebook size", "label", anchor="middle")
    for name in ("random", "content"):
        for mean in rows.filter(pl.col("name") == name)["mean"]:
            board.line([(board.left, y(mean)), (board.right, y(mean))], name)
    for place, count in enumerate(levels):
        line = rows.filter(pl.col("tokenizer") == tokenizer, pl.col("levels") == count).sort("codebook_size")
        # Intervals of one size are offset horizontally.
        aside = 5 * (place - (len(levels) - 1) / 2)
        points = [(x(row["codebook_size"]) + aside, y(row["mean"])) for row in line.to_dicts()]
        board.line(points, f"curve s{place % 5}")
        for (at, up), row in zip(points, line.to_dicts(), strict=True):
            half = row["half_width"] or 0.0
            if half == half:
                span = [(at, y(row["mean"] - half)), (at, y(row["mean"] + half))]
                board.line(span, f"whisker s{place % 5}")
            hint = f"{row['name']}: {number(row['mean'])} ± {short(half)}"
            board.dot(at, up, f"mark s{place % 5}", radius=3.5, hint=hint)
