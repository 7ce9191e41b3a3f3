"""Scales, axes and marks of plots as inline SVG.

Marks have classes (`s0`, `s1`, … for series) instead of colours. The style sheet of the page sets the colours
for light, dark and printed pages.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sidkit.report.markup import Markup, tag
from sidkit.report.numbers import short

__all__ = ["Board", "Point", "Scale", "text_width"]

Point = tuple[float, float]


def text_width(texts: Iterable[str]) -> int:
    """Estimate the width of the longest text in pixels, at the font size of names."""
    return max((round(7.2 * len(text)) for text in texts), default=0)


@dataclass(frozen=True)
class Scale:
    """Map from values to coordinates.

    Attributes:
        low: the value at `start`.
        high: the value at `end`.
        start: a coordinate in pixels.
        end: a coordinate in pixels; less than `start` for an upward axis.
        log: whether the scale is logarithmic.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        place = math.log(max(value, self.low)) if self.log else value
        share = (place - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, target: int = 5) -> list[float]:
        """Return about `target` round values between the ends."""
        if self.log:
            powers = range(
                math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1
            )
            every = max(1, math.ceil(len(powers) / target))
            return [10.0**power for power in powers][::every]
        step = _round_step((self.high - self.low) / max(1, target))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]


def _round_step(step: float) -> float:
    if step <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= step * (1 - 1e-9))


class Board:
    """One plot.

    Args:
        width: width in pixels of the page.
        height: height in pixels of the page.
        left: left margin, for the labels of the vertical axis.
        right: right margin.
        top: top margin.
        bottom: bottom margin, for the labels of the horizontal axis.
    """

    def __init__(
        self, width: int, height: int, *, left: int = 44, right: int = 12, top: int = 10, bottom: int = 34
    ) -> None:
        self.width, self.height = width, height
        self.left, self.right = left, width - right
        self.top, self.bottom = top, height - bottom
        self._marks: list[Markup] = []

    def across(self, low: float, high: float, *, log: bool = False) -> Scale:
        """Create a horizontal scale over the whole plot."""
        return Scale(low, high, self.left, self.right, log)

    def upward(self, low: float, high: float, *, log: bool = False) -> Scale:
        """Create a vertical scale over the whole plot."""
        return Scale(low, high, self.bottom, self.top, log)

    def horizontal_axis(
        self, scale: Scale, label: str = "", *, target: int = 5, write: Callable[[float], str] = short
    ) -> None:
        """Draw ticks below the plot, with vertical grid lines."""
        for value in scale.ticks(target):
            x = scale(value)
            self.line([(x, self.top), (x, self.bottom)], "grid")
            self.text(x, self.bottom + 14, write(value), "tick", anchor="middle")
        if label:
            self.text((self.left + self.right) / 2, self.height - 4, label, "label", anchor="middle")

    def vertical_axis(
        self, scale: Scale, label: str = "", *, target: int = 4, write: Callable[[float], str] = short
    ) -> None:
        """Draw ticks left of the plot, with horizontal grid lines; the label is above the plot."""
        for value in scale.ticks(target):
            y = scale(value)
            self.line([(self.left, y), (self.right, y)], "grid")
            self.text(self.left - 6, y + 3.5, write(value), "tick", anchor="end")
        if label:
            self.text(self.left, self.top - 8, label, "label", anchor="start")

    def line(self, points: Iterable[Point], class_: str) -> None:
        """Draw a line through points."""
        self._add("polyline", points=" ".join(f"{_px(x)},{_px(y)}" for x, y in points), class_=class_)

    def area(self, points: Sequence[Point], base: float, class_: str) -> None:
        """Fill the area between a line and a horizontal base."""
        around = [(points[0][0], base), *points, (points[-1][0], base)]
        self._add("polygon", points=" ".join(f"{_px(x)},{_px(y)}" for x, y in around), class_=class_)

    def bar(self, x0: float, y0: float, x1: float, y1: float, class_: str, hint: str = "") -> None:
        """Fill the rectangle between two corners; `hint` is a tooltip."""
        self._add(
            "rect",
            tag("title", hint) if hint else None,
            x=_px(min(x0, x1)),
            y=_px(min(y0, y1)),
            width=_px(abs(x1 - x0)),
            height=_px(abs(y1 - y0)),
            rx=1.5,
            class_=class_,
        )

    def dot(self, x: float, y: float, class_: str, *, radius: float = 4.5, hint: str = "") -> None:
        """Draw a filled circle; `hint` is a tooltip."""
        self._add(
            "circle", tag("title", hint) if hint else None, cx=_px(x), cy=_px(y), r=radius, class_=class_
        )

    def dots(self, points: Iterable[Point], class_: str) -> None:
        """Draw many dots as one path; the style sheet sets their size as a stroke width."""
        path = "".join(f"M{_px(x)} {_px(y)}h0" for x, y in points)
        if path:
            self._add("path", d=path, class_=class_)

    def edges(self, boxes: Iterable[tuple[float, float, float, float]], class_: str) -> None:
        """Draw the lower and right edges of boxes (left, top, right, bottom) as one path of whole pixels."""
        path = "".join(f"M{x1:.0f} {y0:.0f}V{y1:.0f}H{x0:.0f}" for x0, y0, x1, y1 in boxes)
        if path:
            self._add("path", d=path, class_=class_)

    def text(self, x: float, y: float, text: str, class_: str, *, anchor: str = "start") -> None:
        """Draw text; `anchor` is `start`, `middle` or `end`."""
        self._add("text", text, x=_px(x), y=_px(y), class_=class_, text_anchor=anchor)

    def marks(self) -> list[Markup]:
        """Return the marks drawn so far, for use in a larger drawing."""
        return list(self._marks)

    def svg(self, description: str, class_: str | None = None) -> Markup:
        """Return the plot; `description` is its text for screen readers."""
        return tag(
            "svg",
            tag("title", description),
            self._marks,
            viewBox=f"0 0 {self.width} {self.height}",
            width=self.width,
            height=self.height,
            role="img",
            aria_label=description,
            class_=class_,
        )

    def _add(self, name: str, *children: Markup | str | None, **attributes: str | float | None) -> None:
        self._marks.append(tag(name, *children, **attributes))


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
