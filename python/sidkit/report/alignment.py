"""Plot of an alignment: its course, and the trade-off of reward and accuracy."""

from collections.abc import Mapping, Sequence
from typing import Any

from sidkit.report.charts import Board, Scale
from sidkit.report.markup import Markup, tag
from sidkit.report.numbers import number
from sidkit.report.sweep_plot import STYLE

__all__ = ["METRICS", "alignment_plot"]

#: Labels of the metrics, in the order of tables.
METRICS = {
    "reward": "expected reward",
    "reward@10": "reward of the top 10",
    "kl": "KL(policy ‖ reference)",
    "entropy": "entropy",
    "ndcg@10": "NDCG@10",
    "recall@10": "Recall@10",
    "coverage@10": "coverage@10",
    "average_popularity@10": "average popularity@10",
}

_WIDTH, _HEIGHT, _HEAD = 320, 220, 56
_CURVES = ("reward", "kl", "ndcg@10", "coverage@10", "average_popularity@10")


def alignment_plot(record: Mapping[str, Any], *, styled: bool = True) -> Markup:
    """Draw an alignment as SVG: curves over the steps, and reward against accuracy.

    Args:
        record: content of `alignment.json`, see `sidkit.train.align.AlignmentRecord`.
        styled: include the style sheet, for a separate file; False for a page that has one.
    """
    evaluations = record["history"]["evaluations"]
    kept = record["history"]["best_step"]
    names = [name for name in _CURVES if name in evaluations[0]["metrics"]]
    panels = [_curve(evaluations, name, kept, record["budget"]) for name in names]
    if "ndcg@10" in names:
        panels.append(_trade_off(evaluations, kept))
    columns = min(3, len(panels))
    placed = [
        tag("g", panel, transform=f"translate({_WIDTH * (at % columns)} {_HEAD + _HEIGHT * (at // columns)})")
        for at, panel in enumerate(panels)
    ]
    width, height = _WIDTH * columns, _HEAD + _HEIGHT * -(-len(panels) // columns)
    title = f"Alignment by {record['method']['method']}, reward: {record['reward']}"
    head = Board(0, 0)
    head.text(12, 20, title, "title")
    head.text(12, 38, f"validation; kept: step {kept}; beta {record['beta']:.3g}", "tick")
    return tag(
        "svg",
        tag("title", title),
        Markup(f"<style>{STYLE}</style>") if styled else None,
        tag("rect", width=width, height=height, class_="paper") if styled else None,
        head.marks(),
        placed,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
    )


def _curve(
    evaluations: Sequence[Mapping[str, Any]], name: str, kept: int, budget: Mapping[str, float | None]
) -> Markup:
    board = Board(_WIDTH, _HEIGHT, left=56, right=16, top=34, bottom=40)
    points = [(float(each["step"]), float(each["metrics"][name])) for each in evaluations]
    limit = _limit(name, points[0][1], budget)
    x = board.across(0, max(points[-1][0], 1))
    values = [value for _, value in points] + ([] if limit is None else [limit])
    y = _scale(values, board.bottom, board.top)
    board.vertical_axis(y, METRICS[name], write="{:,.4g}".format)
    board.horizontal_axis(x, "steps", target=4)
    if limit is not None:
        board.line([(board.left, y(limit)), (board.right, y(limit))], "random")
    board.line([(x(step), y(value)) for step, value in points], "curve s0")
    for step, value in points:
        if step == kept:
            board.dot(x(step), y(value), "mark s0", hint=f"kept: {METRICS[name]} {number(value)}")
    return board.svg(f"{METRICS[name]} over the steps")


def _limit(name: str, first: float, budget: Mapping[str, float | None]) -> float | None:
    """Return the value at which a budget is spent, if there is one for the metric."""
    if name == "kl":
        return budget.get("kl")
    loss = budget.get("ndcg_loss")
    return (1 - loss) * first if name == "ndcg@10" and loss is not None else None


def _trade_off(evaluations: Sequence[Mapping[str, Any]], kept: int) -> Markup:
    board = Board(_WIDTH, _HEIGHT, left=56, right=16, top=34, bottom=40)
    points = [(each["metrics"]["reward"], each["metrics"]["ndcg@10"], each["step"]) for each in evaluations]
    x = _scale([across for across, _, _ in points], board.left, board.right)
    y = _scale([up for _, up, _ in points], board.bottom, board.top)
    board.vertical_axis(y, METRICS["ndcg@10"], write="{:,.4g}".format)
    board.horizontal_axis(x, METRICS["reward"], target=4)
    board.line([(x(across), y(up)) for across, up, _ in points], "curve s0")
    for across, up, step in points:
        radius = 5.5 if step == kept else 3
        hint = f"step {step}: reward {number(across)}, NDCG@10 {number(up)}"
        board.dot(x(across), y(up), "mark s0", radius=radius, hint=hint)
    return board.svg("NDCG@10 against reward; the larger dot is the policy that was kept")


def _scale(values: Sequence[float], start: float, end: float) -> Scale:
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.01
    return Scale(low - room, high + room, start, end)
