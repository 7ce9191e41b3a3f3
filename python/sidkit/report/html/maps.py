"""Plots of a catalogue: prefixes as a treemap, vectors as a map."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sidkit.report.charts import Board
from sidkit.report.markup import Markup, tag

__all__ = ["fullest_codes", "item_map", "principal_plane", "treemap"]

Box = tuple[float, float, float, float]

#: Number of coloured first codes; the others are grey.
_COLOURED = 6
# Smaller boxes, in square pixels, have no label, are not divided, are not drawn: this limits the file size.
_NAMED, _DIVIDED, _DRAWN = 420, 90, 12


def fullest_codes(first: npt.NDArray[np.integer]) -> list[int]:
    """Return the most frequent first codes, at most six; ties: the lower code."""
    counts = np.bincount(first)
    order = np.argsort(-counts, kind="stable")[:_COLOURED]
    return [int(code) for code in order if counts[code]]


def treemap(codes: npt.NDArray[np.integer]) -> Markup:
    """Draw each first code as a box divided by second codes, with areas proportional to items.

    The result has a wide and a narrow drawing; the style sheet shows one of them.

    Args:
        codes: (n, levels), n at least 1.
    """
    wide, narrow = _treemap(codes, 1020, 380, "wide"), _treemap(codes, 364, 520, "narrow")
    return tag("div", wide, narrow, class_="drawing")


def _treemap(codes: npt.NDArray[np.integer], width: int, height: int, layout: str) -> Markup:
    board = Board(width, height, left=0, right=0, top=26, bottom=0)
    board.text(0, 14, "Items by first code, divided by second code", "title")
    first, counts = np.unique(codes[:, 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    coloured = fullest_codes(codes[:, 0])
    boxes = squarified(counts[order].tolist(), (0, board.top, width, height))
    for code, count, box in zip(first[order].tolist(), counts[order].tolist(), boxes, strict=True):
        x0, y0, x1, y1 = box
        class_ = f"d{coloured.index(code)}" if code in coloured else "quiet"
        under = codes[codes[:, 0] == code]
        seconds = np.unique(under[:, 1], return_counts=True)[1] if codes.shape[1] > 1 else np.array([count])
        hint = f"{code}: {count:,} items under {len(seconds):,} second codes"
        board.bar(x0 + 0.5, y0 + 0.5, x1 - 0.5, y1 - 0.5, f"cell {class_}", hint)
        area = (x1 - x0) * (y1 - y0)
        if len(seconds) > 1 and area >= _DIVIDED:
            inner = squarified(np.sort(seconds)[::-1].tolist(), box)
            board.edges([each for each in inner if _area(each) >= _DRAWN], "parting")
        if area >= _NAMED and x1 - x0 > 7 * len(str(code)) + 4:
            on = "code" if class_ == "quiet" else "code on"
            board.text((x0 + x1) / 2, (y0 + y1) / 2 + 4, str(code), on, anchor="middle")
    return board.svg(
        f"Treemap of {len(codes):,} items: {len(first):,} first codes in use, "
        f"the most frequent, {coloured[0]}, has {int(counts.max()):,} items",
        layout,
    )


def item_map(
    points: npt.NDArray[np.floating],
    first: npt.NDArray[np.integer],
    title: str,
    coloured: Mapping[int, str],
) -> Markup:
    """Draw items as dots, coloured by first code.

    The result has a wide and a narrow drawing; the style sheet shows one of them.

    Args:
        points: (n, 2), coordinates of the items.
        first: (n,), first code of each item.
        title: title of the plot.
        coloured: the coloured codes, at most six, with their names for the legend.
    """
    wide, narrow = (
        Board(1020, 460, left=4, right=230, top=28, bottom=6),
        Board(364, 560, left=4, right=4, top=28, bottom=200),
    )
    return tag(
        "div",
        _item_map(wide, points, first, title, coloured, (wide.right + 20, wide.top + 12), "wide"),
        _item_map(narrow, points, first, title, coloured, (8, narrow.bottom + 30), "narrow"),
        class_="drawing",
    )


def _item_map(
    board: Board,
    points: npt.NDArray[np.floating],
    first: npt.NDArray[np.integer],
    title: str,
    coloured: Mapping[int, str],
    legend: tuple[float, float],
    layout: str,
) -> Markup:
    board.text(0, 14, title, "title")
    spread = np.ptp(points, axis=0).max() or 1.0
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    reach = np.abs(points - middle).max(axis=0)
    reach[reach == 0] = spread
    x = board.across(float(middle[0] - reach[0]), float(middle[0] + reach[0]))
    y = board.upward(float(middle[1] - reach[1]), float(middle[1] + reach[1]))
    rest = ~np.isin(first, list(coloured))
    board.dots([(x(a), y(b)) for a, b in points[rest].tolist()], "specks quiet")
    for place, (code, name) in enumerate(coloured.items()):
        board.dots([(x(a), y(b)) for a, b in points[first == code].tolist()], f"specks bold d{place}")
        top = legend[1] + 22 * place
        board.dot(legend[0], top - 4, f"mark d{place}", radius=4.5)
        board.text(legend[0] + 12, top, name, "name")
    if rest.any():
        top = legend[1] + 22 * len(coloured)
        board.dot(legend[0], top - 4, "mark quiet", radius=3)
        board.text(legend[0] + 12, top, "all other first codes", "name")
    return board.svg(f"{title}: {len(points):,} items; coloured: {'; '.join(coloured.values())}", layout)


def principal_plane(x: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.float64], float]:
    """Project vectors onto their first two principal components.

    Args:
        x: (n, dim), finite.

    Returns:
        Coordinates, float64 (n, 2), zero for missing components; the largest entry of each component is
        positive. And the share of the variance that they have, 0.0 if there is no variance.
    """
    centred = x - x.mean(axis=0, dtype=np.float64)
    values, components = np.linalg.eigh(centred.T @ centred)
    plane = components[:, ::-1][:, :2]
    plane = plane * np.sign(plane[np.abs(plane).argmax(axis=0), np.arange(plane.shape[1])])
    places = np.zeros((len(x), 2))
    places[:, : plane.shape[1]] = centred @ plane
    total = float(values.sum())
    return places, float(values[::-1][:2].sum() / total) if total > 0 else 0.0


def squarified(sizes: Sequence[float], box: Box) -> list[Box]:
    """Divide a box into nearly square boxes with given areas (Bruls, Huizing and van Wijk 2000).

    Args:
        sizes: positive, in descending order; scaled to fill the box.
        box: left, top, right, bottom.

    Returns:
        One box per size, in that order.
    """
    scale = _area(box) / sum(sizes)
    areas = [size * scale for size in sizes]
    boxes: list[Box] = []
    start = 0
    while start < len(areas):
        x0, y0, x1, y1 = box
        side = min(x1 - x0, y1 - y0)
        stop, total = start + 1, areas[start]
        worst = _worst(areas[start], areas[start], total, side)
        while stop < len(areas):
            longer = _worst(areas[start], areas[stop], total + areas[stop], side)
            if longer > worst:
                break
            worst, total, stop = longer, total + areas[stop], stop + 1
        thick = total / side if side > 0 else 0.0
        at = y0 if x1 - x0 >= y1 - y0 else x0
        for area in areas[start:stop]:
            long = area / thick if thick > 0 else 0.0
            if x1 - x0 >= y1 - y0:
                boxes.append((x0, at, x0 + thick, at + long))
            else:
                boxes.append((at, y0, at + long, y0 + thick))
            at += long
        box = (x0 + thick, y0, x1, y1) if x1 - x0 >= y1 - y0 else (x0, y0 + thick, x1, y1)
        start = stop
    return boxes


def _worst(largest: float, smallest: float, total: float, side: float) -> float:
    """Return the largest ratio of sides of the boxes in a strip along `side`."""
    if side <= 0 or smallest <= 0:
        return float("inf")
    return max(side**2 * largest / total**2, total**2 / (side**2 * smallest))


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
