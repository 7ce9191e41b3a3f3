"""Plot of a frontier: accuracy against diversity, and accuracy against popularity."""

from collections.abc import Mapping, Sequence
from typing import Any

from sidkit.report.charts import Board, Scale
from sidkit.report.markup import Markup, tag
from sidkit.report.names import metric_name, model_name
from sidkit.report.numbers import number, short
from sidkit.report.sweep_plot import STYLE

__all__ = ["METHODS", "frontier_plot"]

WIDTH, HEIGHT, HEAD = 420, 300, 84

#: Display names of the methods, in the order of their colours.
METHODS = {
    "mmr": "MMR",
    "dpp": "DPP",
    "max_sum": "max-sum",
    "mmr_tail": "MMR, first 70 % kept",
    "popularity_correction": "popularity correction",
}


def frontier_plot(found: Mapping[str, Any]) -> str:
    """Draw a frontier as SVG: one panel per quantity, one line per method over its parameter.

    Args:
        found: the content of `frontier.json`, see `sidkit.experiments.frontier`.
    """
    k = found["k"]
    panels = []
    for column, (metric, label) in enumerate(
        (
            (f"diversity@{k}", "intra-list diversity (mean 1 − cosine)"),
            (f"average_popularity@{k}", "average popularity (training events)"),
        )
    ):
        board = Board(WIDTH, HEIGHT, left=56, right=16, top=34, bottom=44)
        _panel(board, found["points"], f"ndcg@{k}", metric, label)
        drawn = board.svg(f"{metric_name(f'ndcg@{k}')} against {label}")
        panels.append(tag("g", drawn, transform=f"translate({WIDTH * column} {HEAD})"))
    title = f"Re-ranking of {model_name(found['model'])}: accuracy against diversity and popularity"
    seen = "excluded" if found["exclude_seen"] else "included"
    note = (
        f"top {k} of {found['candidates']} candidates, {found['users']:,} validation users, seen items {seen}"
    )
    width, height = 2 * WIDTH, HEAD + HEIGHT
    return tag(
        "svg",
        tag("title", title),
        Markup(f"<style>{STYLE}</style>"),
        tag("rect", width=width, height=height, class_="paper"),
        _head(title, note),
        panels,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
    )


def _head(title: str, note: str) -> list[Markup]:
    board = Board(0, 0)
    board.text(12, 20, title, "title")
    board.text(12, 38, note, "tick")
    x = 12.0
    for place, name in enumerate(METHODS.values()):
        board.line([(x, 60), (x + 22, 60)], f"curve s{place}")
        board.dot(x + 11, 60, f"mark s{place}", radius=3.5)
        board.text(x + 28, 64, name, "name")
        x += 60 + 7.2 * len(name)
    board.line([(x, 60), (x + 22, 60)], "random")
    board.text(x + 28, 64, "not re-ranked", "name")
    return board.marks()


def _panel(board: Board, points: Sequence[Mapping[str, Any]], accuracy: str, metric: str, label: str) -> None:
    def place(point: Mapping[str, Any]) -> tuple[float, float]:
        return point["metrics"][metric]["value"], point["metrics"][accuracy]["value"]

    places = [place(point) for point in points]
    x = _scale([across for across, _ in places], board.left, board.right)
    y = _scale([up for _, up in places], board.bottom, board.top)
    board.vertical_axis(y, metric_name(accuracy), write=number)
    board.horizontal_axis(x, label)
    across, up = places[0]
    board.line([(board.left, y(up)), (board.right, y(up))], "random")
    board.line([(x(across), board.top), (x(across), board.bottom)], "random")
    for colour, method in enumerate(METHODS):
        own = [point for point in points if point["method"] == method]
        line = [places[0], *map(place, own)]
        board.line([(x(one), y(other)) for one, other in line], f"curve s{colour}")
        for point in own:
            one, other = place(point)
            hint = (
                f"{METHODS[method]}, {point['parameter']} {point['value']:g}: {metric_name(accuracy)} "
                f"{number(other)}, {metric_name(metric)} {short(one)}"
            )
            board.dot(x(one), y(other), f"mark s{colour}", radius=3.5, hint=hint)


def _scale(values: Sequence[float], start: float, end: float) -> Scale:
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.01
    return Scale(low - room, high + room, start, end)
