"""Plots of the page. Each function takes plain numbers and returns one SVG drawing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sidkit.report.charts import Board, Point, text_width
from sidkit.report.markup import Markup
from sidkit.report.numbers import number, short

__all__ = ["Estimate", "Series", "bars", "code_use", "curves", "doubling_bins", "histogram", "intervals"]

_MOST_NAMED_BINS = 7
_LINE = 15  # pixels between two names


@dataclass(frozen=True)
class Estimate:
    """A value with its interval: one row of a plot."""

    label: str
    class_: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """A named line."""

    label: str
    class_: str
    points: Sequence[Point]


def intervals(estimates: Sequence[Estimate], title: str) -> Markup:
    """Draw each estimate as a dot on a line from the low to the high end."""
    left = text_width(estimate.label for estimate in estimates) + 16
    width = max(420, left + 300)
    board = Board(width, 58 + 34 * len(estimates), left=left, right=64, top=24, bottom=26)
    x = board.across(0, max(estimate.high for estimate in estimates) * 1.05 or 1)
    board.text(0, 14, title, "title")
    board.horizontal_axis(x, target=4)
    for row, estimate in enumerate(estimates):
        y = board.top + 24 + 34 * row
        board.text(board.left - 12, y + 4, estimate.label, "name", anchor="end")
        board.line([(x(estimate.low), y), (x(estimate.high), y)], f"whisker {estimate.class_}")
        hint = (
            f"{estimate.label}: {number(estimate.value)}, {number(estimate.low)} to {number(estimate.high)}"
        )
        board.dot(x(estimate.value), y, f"mark {estimate.class_}", hint=hint)
        board.text(board.right + 10, y + 4, number(estimate.value), "value")
    values = "; ".join(
        f"{e.label} {number(e.value)} ({number(e.low)} to {number(e.high)})" for e in estimates
    )
    return board.svg(f"{title} with 95 % intervals: {values}")


def curves(
    series: Sequence[Series], title: str, across: str, *, from_zero: bool = False, width: int = 272
) -> Markup:
    """Draw lines over a common axis; several lines have their names in the right margin."""
    named = len(series) > 1
    margin = text_width(line.label for line in series) + 26 if named else 10
    board = Board(width, 200, left=44, right=margin, top=28, bottom=36)
    xs = [x for line in series for x, _ in line.points]
    ys = [y for line in series for _, y in line.points]
    low, high = (0.0 if from_zero else min(ys)), max(ys)
    room = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    x = board.across(min(0.0, *xs), max(xs) or 1)
    y = board.upward(low if from_zero else low - room, high + room)
    board.text(0, 14, title, "title")
    board.vertical_axis(y)
    board.horizontal_axis(x, across)
    ordered = sorted(series, key=lambda one: one.points[-1][1], reverse=True)
    places = _separated([y(line.points[-1][1]) + 4 for line in ordered], board.bottom)
    for line, place in zip(ordered, places, strict=True):
        board.line([(x(a), y(b)) for a, b in line.points], f"curve {line.class_}")
        last_x, last_y = (scale(value) for scale, value in zip((x, y), line.points[-1], strict=True))
        if named:
            # The name is outside of the plot, where no other line crosses it.
            board.line([(last_x, last_y), (board.right + 10, place - 4)], f"leader {line.class_}")
            board.text(board.right + 14, place, line.label, f"name ink {line.class_}")
        board.dot(last_x, last_y, f"mark {line.class_}", radius=3)
    described = "; ".join(
        f"{s.label} from {short(s.points[0][1])} to {short(s.points[-1][1])}" for s in series
    )
    return board.svg(f"{title} over {across}: {described}")


def _separated(places: Sequence[float], lowest: float) -> list[float]:
    """Move descending text lines apart so that they do not overlap, above `lowest` where there is room."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + _LINE if moved else 0))
    shift = max(0.0, moved[-1] - lowest) if moved else 0.0
    return [max(place - shift, _LINE * (index + 1)) for index, place in enumerate(moved)]


def code_use(counts: npt.NDArray[np.integer], level: int, width: int = 272) -> Markup:
    """Draw the number of items of each code of a level, in descending order."""
    ordered = np.sort(counts)[::-1]
    board = Board(width, 150, left=36, right=8, top=28, bottom=34)
    x, y = board.across(0, len(ordered)), board.upward(0, max(1, int(ordered[0])) * 1.08)
    even = ordered.sum() / len(ordered)
    board.text(0, 14, f"level {level}", "title")
    board.vertical_axis(y, target=3)
    board.horizontal_axis(x, "codes, most frequent first", target=4)
    steps = [(x(place), y(count)) for code, count in enumerate(ordered) for place in (code, code + 1)]
    board.area(steps, board.bottom, f"fill d{level % 6}")
    board.line([(board.left, y(even)), (board.right, y(even))], "even")
    used = int(np.count_nonzero(ordered))
    return board.svg(
        f"Items per code at level {level}: {used} of {len(ordered)} codes in use, the most frequent has "
        f"{int(ordered[0])} items, the mean is {even:.0f}"
    )


def histogram(
    bins: Sequence[tuple[str, int]], title: str, across: str, *, class_: str = "s0", width: int = 420
) -> Markup:
    """Draw a bar for each bin with its count above."""
    board = Board(width, 200, left=12, right=12, top=42, bottom=40)
    y = board.upward(0, max(count for _, count in bins) or 1)
    step = (board.right - board.left) / len(bins)
    board.text(0, 14, title, "title")
    # Many bins are labelled by their lower bound only.
    crowded = len(bins) > _MOST_NAMED_BINS
    for place, (label, count) in enumerate(bins):
        left = board.left + step * place
        middle = left + step / 2
        gap = min(step * 0.12, 8)
        board.bar(
            left + gap, y(count), left + step - gap, board.bottom, f"fill {class_}", f"{label}: {count:,}"
        )
        board.text(middle, y(count) - 5, short(count), "count", anchor="middle")
        tick = label.partition("–")[0] if crowded else label
        board.text(middle, board.bottom + 14, tick, "tick", anchor="middle")
    board.line([(board.left, board.bottom), (board.right, board.bottom)], "base")
    named = f"{across}, from" if crowded else across
    board.text((board.left + board.right) / 2, board.height - 5, named, "label", anchor="middle")
    return board.svg(f"{title}, by {across}: " + ", ".join(f"{label}: {count:,}" for label, count in bins))


def bars(values: Mapping[str, float], title: str, *, unit: str = "s", width: int = 420) -> Markup:
    """Draw one horizontal bar per name."""
    left = text_width(values) + 14
    board = Board(max(width, left + 284), 34 + 24 * len(values), left=left, right=72, top=26, bottom=4)
    x = board.across(0, max(values.values()) or 1)
    board.text(0, 14, title, "title")
    for row, (label, value) in enumerate(values.items()):
        y = board.top + 24 * row
        board.text(board.left - 10, y + 13, label, "name", anchor="end")
        board.bar(board.left, y + 2, x(value), y + 16, "fill s0", f"{label}: {value:,.1f} {unit}")
        board.text(x(value) + 6, y + 13, f"{short(round(value, 1))} {unit}", "value")
    return board.svg(
        f"{title}: " + ", ".join(f"{label} {value:,.1f} {unit}" for label, value in values.items())
    )


def doubling_bins(values: npt.NDArray[np.integer], most: int = 10) -> list[tuple[str, int]]:
    """Count values in doubling bins: 0, 1, 2-3, 4-7, …; larger values are in the last bin."""
    if not values.size:
        return []
    bins = np.where(values > 0, np.floor(np.log2(np.maximum(values, 1))) + 1, 0).astype(int)
    counts = np.bincount(np.minimum(bins, most))
    first = int(np.flatnonzero(counts)[0])
    named = []
    for place in range(first, len(counts)):
        low, high = (0, 0) if place == 0 else (2 ** (place - 1), 2**place - 1)
        name = (
            f"{low}+"
            if place == most and values.max() > high
            else str(low)
            if low == high
            else f"{low}–{high}"
        )
        named.append((name, int(counts[place])))
    return named
