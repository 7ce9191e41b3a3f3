"""A sweep as one drawing: a panel for each tokenizer and slice, a line for each number of levels."""

from collections.abc import Sequence

import polars as pl

from sidkit.ranking import Sweep
from sidkit.report.charts import Board, Scale, number, short
from sidkit.report.markup import Markup, tag

__all__ = ["sweep_plot"]

WIDTH, HEIGHT, HEAD = 262, 228, 80

NAMES = {"rqkmeans": "residual k-means", "rqvae": "RQ-VAE", "pq": "product quantization"}
METRICS = {"auc": "AUC", "user_auc": "AUC within users", "log_loss": "log-loss"}

# The drawing stands alone, so it brings the colours that a page would give it.
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
    """Draw a sweep as SVG: codes across, `metric` upward with 95 % intervals over the seeds.

    Args:
        sweep: what to draw.
        metric: `auc`, `user_auc` or `log_loss`.
        slices: a row of panels each; those that the sweep does not have are left out.
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
            title = f"{NAMES.get(tokenizer, tokenizer)}, {part}"
            board = Board(WIDTH, HEIGHT, left=46, right=14, top=38, bottom=48)
            _panel(board, rows, tokenizer, levels, scale, title, METRICS.get(metric, metric))
            drawn = board.svg(title)
            panels.append(tag("g", drawn, transform=f"translate({WIDTH * column} {HEAD + HEIGHT * row})"))
    settings = sweep.baselines.settings
    told = f"{METRICS.get(metric, metric)} of {sweep.representation} n-grams by shape of the Semantic ID"
    budget = f"{settings['num_embeddings']:,} embeddings of {settings['dim']}, {len(settings['seeds'])} seeds, 95 % intervals"
    return tag(
        "svg",
        tag("title", told),
        Markup(f"<style>{STYLE}</style>"),
        tag("rect", width=width, height=height, class_="paper"),
        _head(told, budget, levels),
        panels,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
    )


def _vertical(rows: pl.DataFrame) -> tuple[float, float]:
    """The values that the panels of a slice have in common."""
    half = pl.col("half_width").fill_nan(0).fill_null(0)
    low, high = rows.select(low=(pl.col("mean") - half).min(), high=(pl.col("mean") + half).max()).row(0)
    room = 0.06 * (high - low) or 0.01
    return low - room, high + room


def _head(told: str, budget: str, levels: Sequence[int]) -> list[Markup]:
    board = Board(0, 0)
    board.text(12, 20, told, "title")
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
    # Ends at equal distances, and a scale that can be divided by when there is one size alone.
    x = Scale(sizes[0] / 1.4, sizes[-1] * 1.4, board.left, board.right, log=True)
    y = board.upward(*ends)
    board.text(12, 14, title, "title")
    board.vertical_axis(y, label)
    for size in sizes:
        board.line([(x(size), board.top), (x(size), board.bottom)], "grid")
        board.text(x(size), board.bottom + 14, str(size), "tick", anchor="middle")
    board.text((board.left + board.right) / 2, board.height - 16, "codes a level", "label", anchor="middle")
    for name in ("random", "content"):
        for mean in rows.filter(pl.col("name") == name)["mean"]:
            board.line([(board.left, y(mean)), (board.right, y(mean))], name)
    for place, count in enumerate(levels):
        line = rows.filter(pl.col("tokenizer") == tokenizer, pl.col("levels") == count).sort("codebook_size")
        # Intervals of one size stand beside one another.
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
