"""Section on alignments: the course of each, and the trade-off of reward and accuracy."""

import json
from pathlib import Path
from typing import Any

from sidkit.report.alignment import METRICS, alignment_plot
from sidkit.report.collect import RunData
from sidkit.report.html.blocks import data_table, section
from sidkit.report.markup import Child, Markup, tag
from sidkit.report.numbers import number

__all__ = ["alignment"]


def alignment(run: RunData) -> list[Markup]:
    """Show the aligned models in `aligned/` of the run."""
    blocks: list[Child] = []
    for file in sorted((run.path / "aligned").glob("*/alignment.json")):
        record = _read(file)
        if record is None:
            continue
        evaluations = record["history"]["evaluations"]
        first = evaluations[0]["metrics"]
        best = record["history"]["best_step"]
        kept = next(each for each in evaluations if each["step"] == best)["metrics"]
        rows = [
            [label, number(first[name]), number(kept[name])]
            for name, label in METRICS.items()
            if name in first
        ]
        note = " The reward rose while accuracy fell below its budget." if record["reward_hacking"] else ""
        caption = f"{file.parent.name}: reward {record['reward']}, on validation.{note}"
        blocks += [
            alignment_plot(record, styled=False),
            data_table(["", "before", "after"], rows, caption=caption),
        ]
    return section("Alignment", tag("div", blocks)) if blocks else []


def _read(file: Path) -> dict[str, Any] | None:
    """Return the record, or None if the file is damaged: a report shows what there is."""
    try:
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        alignment_plot(record)
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    return record
