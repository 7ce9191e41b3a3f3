"""Table of accuracy and speed by beam width, from `beams.json`."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sidkit.errors import DataError, FormatError
from sidkit.report.names import metric_name, model_name
from sidkit.report.numbers import number, short
from sidkit.report.tables.cells import gain_cell
from sidkit.report.tables.markdown import markdown_table

__all__ = ["beams_table", "read_beams"]

_METRICS = ("recall@10", "ndcg@10")


def read_beams(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read and validate a `beams.json`.

    Raises:
        DataError: if there is no such file.
        FormatError: if it is not a complete `beams.json`.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(f"no file {file}. Create it with `sidkit beams RUN --out {file}`")
    try:
        found = json.loads(file.read_bytes())
        beams_table(found)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise FormatError(f"{file}: not a beams.json ({type(error).__name__}: {error})") from error
    return dict(found)


def beams_table(found: Mapping[str, Any]) -> str:
    """Format a Markdown table with one row per search, and the conditions of the measurement."""
    exact = found["against"] == "exact"
    key, reference = ("delta_exact", "exact") if exact else ("delta_widest", found["against"])
    head = ["search"]
    for metric in _METRICS:
        head += [metric_name(metric), f"Δ vs {reference}", "p"]
    rows = []
    for row in found["rows"]:
        cells = [row["search"]]
        for metric in _METRICS:
            figures = row[metric]
            low, high = figures["ci95"]
            cells.append(f"{number(figures['value'])} ({number(low)}–{number(high)})")
            gain = figures[key]
            difference = gain_cell(gain["difference"], gain["ci95"])
            cells += ["", ""] if row["search"] == found["against"] else [difference, f"{gain['p']:.3f}"]
        speeds = (short(round(row[name])) for name in ("users_per_second", "users_per_cpu_second"))
        rows.append([*cells, *speeds])
    seen = "seen items excluded" if found["exclude_seen"] else "seen items included"
    note = f"{model_name(found['model'])}, {found['users']:,} test users, {seen}, {found['machine']['cpu']}."
    return f"{markdown_table([*head, 'users/s', 'users/CPU s'], rows)}\n\n{note}\n"
