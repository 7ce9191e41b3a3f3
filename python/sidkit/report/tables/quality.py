"""Plot of validation quality over training time, from the `history.json` files of stored runs.

python -m sidkit.report.tables.quality benches/results beauty docs/plots/quality-beauty.svg
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sidkit._files import write_text
from sidkit.errors import DataError, SidkitError
from sidkit.report.charts import Board, Point
from sidkit.report.names import metric_name, model_name
from sidkit.report.tables.stored import StoredRun, stored_runs

__all__ = ["quality_over_time", "quality_plot"]

_METRIC = "ndcg@10"
_COLOURS = ("#21618c", "#c0582b", "#4b7f52", "#7c5295", "#a8812c", "#3c3f46", "#2f8583", "#b0416d")
_STYLE = (
    "svg{background:#fff;font:11.5px system-ui,sans-serif}text{fill:#646a76}"
    ".title{fill:#22252b;font-size:13px;font-weight:600}.grid{stroke:#eceef1;fill:none}"
    ".curve{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}"
) + "".join(
    f".k{place}.curve{{stroke:{colour}}}.k{place}.mark,.k{place}.name{{fill:{colour}}}"
    for place, colour in enumerate(_COLOURS)
)
_LINE = 15  # pixels between two names


def quality_over_time(history: Mapping[str, Any], metric: str = _METRIC, *, cpu: bool = False) -> list[Point]:
    """List (seconds, metric on validation) at each evaluation of a training, evaluations included.

    Args:
        history: contents of a `history.json`.
        metric: the metric.
        cpu: whether to use processor seconds instead of wall seconds; an empty list if not recorded.
    """
    points, evaluating = [], 0.0
    for entry in history.get("evaluations", []):
        value, evaluating = entry["metrics"].get(metric), evaluating + entry.get("seconds", 0.0)
        before = [step["seconds"] for step in history["steps"] if step["step"] <= entry["step"]]
        seconds = entry.get("cpu_seconds", 0.0) if cpu else max(before, default=0.0) + evaluating
        if isinstance(value, int | float) and math.isfinite(value) and seconds > 0:
            points.append((float(seconds), float(value)))
    return points


def quality_plot(runs: Sequence[StoredRun], metric: str = _METRIC) -> str:
    """Draw one line per model and variant (lowest seed) as an SVG file.

    The axis is processor time if it was recorded for all of them, and wall time otherwise. Trainings on a GPU
    are left out, since their times do not compare with those on a CPU.

    Raises:
        DataError: if no run has a training history.
    """
    chosen: dict[str, StoredRun] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        if not run.gpu and quality_over_time(run.history, metric):
            title = model_name(run.model) + (f", {run.variant}" if run.variant else "")
            chosen.setdefault(title, run)
    if not chosen:
        raise DataError("nothing to draw: expected a stored run with evaluations in history.json, got none")
    cpu = all(quality_over_time(run.history, metric, cpu=True) for run in chosen.values())
    lines = {title: quality_over_time(run.history, metric, cpu=cpu) for title, run in chosen.items()}
    board = Board(760, 360, left=56, right=170, top=44, bottom=44)
    xs = [x for line in lines.values() for x, _ in line]
    x = board.across(min(xs), max(xs) * 1.02, log=True)
    y = board.upward(0, 1.05 * max(value for line in lines.values() for _, value in line))
    clock = "processor" if cpu else "wall"
    board.text(0, 16, f"{metric_name(metric)} on validation by {clock} seconds of training", "title")
    board.vertical_axis(y)
    for tick in _ticks(min(xs), max(xs)):
        board.line([(x(tick), board.top), (x(tick), board.bottom)], "grid")
        board.text(x(tick), board.bottom + 15, f"{tick:,.0f}", "tick", anchor="middle")
    middle = (board.left + board.right) / 2
    board.text(middle, board.height - 6, f"{clock} seconds, evaluations included", "label", anchor="middle")
    lowest: float = board.top - _LINE
    for place, (title, line) in enumerate(sorted(lines.items(), key=lambda one: -one[1][-1][1])):
        class_ = f"k{place % len(_COLOURS)}"
        board.line([(x(a), y(b)) for a, b in line], f"curve {class_}")
        end_x, end_y = x(line[-1][0]), y(line[-1][1])
        lowest = max(end_y + 4, lowest + _LINE)  # names must not overlap
        board.dot(end_x, end_y, f"mark {class_}", radius=3)
        board.text(board.right + 10, lowest, title, f"name {class_}")
    described = "; ".join(
        f"{title} {line[-1][1]:.4f} after {line[-1][0]:,.0f} s" for title, line in lines.items()
    )
    drawing = board.svg(f"{metric_name(metric)} on validation by {clock} seconds: {described}")
    head, _, body = drawing.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{_STYLE}</style>{body}\n'


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw or check the plot; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m sidkit.report.tables.quality",
        description="Draw validation quality over training time.",
    )
    parser.add_argument("results", type=Path, help="directory of stored runs, such as benches/results")
    parser.add_argument("dataset", help="name of a dataset in it")
    parser.add_argument("out", type=Path, help="the SVG file")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if it is out of date")
    options = parser.parse_args(arguments)
    try:
        drawing = quality_plot(stored_runs(options.results, options.dataset))
        there = options.out.read_text(encoding="utf-8") if options.out.is_file() else ""
        if there != drawing and not options.check:
            write_text(options.out, drawing)
    except (SidkitError, OSError) as error:
        parser.exit(2, f"error: {error}\n")
    if there != drawing:
        sys.stdout.write(f"{options.out}: {'out of date' if options.check else 'updated'}\n")
    return 1 if options.check and there != drawing else 0


def _ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [t for power in powers for t in (10.0**power, 3 * 10.0**power) if low <= t <= high]


if __name__ == "__main__":
    sys.exit(main())
