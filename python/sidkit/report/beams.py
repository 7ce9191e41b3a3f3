"""The table of beam widths, from what `sidkit beams` measured."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sidkit.errors import DataError, FormatError
from sidkit.report.cells import gain_cell
from sidkit.report.charts import number, short
from sidkit.report.markdown import markdown_table
from sidkit.report.vocabulary import metric_name, model_name

__all__ = ["beams_table", "read_beams"]

_METRICS = ("recall@10", "ndcg@10")


def read_beams(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a `beams.json`.

    Raises:
        DataError: if there is no such file.
        FormatError: if it is damaged or another file.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(f"no beams at {file}; `sidkit beams RUN --out {file}` measures them")
    try:
        found = json.loads(file.read_bytes())
        beams_table(found)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise FormatError(f"{file}: not a beams.json ({type(error).__name__}: {error})") from error
    return dict(found)


def beams_table(found: Mapping[str, Any]) -> str:
    """Write a Markdown table: a row for each search, and what it was measured on."""
    exact = found["against"] == "exact"
    less, truth = ("less_exact", "exact") if exact else ("less_widest", found["against"])
    head = ["search"]
    for metric in _METRICS:
        head += [metric_name(metric), f"less {truth}", "p"]
    rows = []
    for row in found["rows"]:
        cells = [row["search"]]
        for metric in _METRICS:
            figures = row[metric]
            low, high = figures["ci95"]
            cells.append(f"{number(figures['value'])} ({number(low)}–{number(high)})")
            gain = figures[less]
            told = gain_cell(gain["difference"], gain["ci95"])
            cells += ["", ""] if row["search"] == found["against"] else [told, f"{gain['p']:.3f}"]
        speeds = (short(round(row[name])) for name in ("users_per_second", "users_per_cpu_second"))
        rows.append([*cells, *speeds])
    seen = "seen items masked" if found["exclude_seen"] else "nothing masked"
    note = f"{model_name(found['model'])}, {found['users']:,} test users, {seen}, {found['machine']['cpu']}."
    return f"{markdown_table([*head, 'users/s', 'users/CPU s'], rows)}\n\n{note}\n"
