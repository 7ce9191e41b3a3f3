"""Table of the searches for settings of a dataset, from the `trials.json` of `sidkit tune`.

The files are `<results>/tuning/<dataset>/<model>.json`.
"""

import json
from pathlib import Path
from typing import Any

from sidkit.errors import DataError, FormatError
from sidkit.report.names import metric_name, model_name
from sidkit.report.numbers import number
from sidkit.report.tables.markdown import markdown_table

__all__ = ["tuning_table"]


def tuning_table(results: Path, dataset: str) -> str:
    """Format a Markdown table with one row per searched model.

    Args:
        results: directory of stored runs, by convention `benches/results`.
        dataset: name of the dataset.

    Raises:
        DataError: if no search is stored for the dataset.
        FormatError: if a file is damaged.
    """
    directory = results / "tuning" / dataset
    files = sorted(directory.glob("*.json"))
    if not files:
        raise DataError(f"no stored search for `{dataset}`: expected {directory / '<model>.json'}")
    rows = []
    for file in files:
        try:
            rows.append(_row(json.loads(file.read_text(encoding="utf-8"))))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise FormatError(f"`{file}` is damaged: {error!r}. Copy it from the search again.") from error
    heads = ["model", "trials", "validation metric", "without search", "best", "settings of the best"]
    return markdown_table(heads, rows) + "\n"


def _row(found: dict[str, Any]) -> list[str]:
    trials = [trial for trial in found["trials"] if trial["value"] is not None]
    best = max(trials, key=lambda trial: trial["value"])
    untuned = [trial["value"] for trial in trials if trial["settings"] == found["untuned"]]
    changed = {
        key.rpartition(".")[2]: value
        for key, value in best["settings"].items()
        if value != found["untuned"][key]
    }
    shown = (
        f"`{key}` {value:.3g}" if isinstance(value, float) else f"`{key}` {value}"
        for key, value in changed.items()
    )
    return [
        model_name(found["model"]),
        str(len(found["trials"])),
        metric_name(found["metric"]),
        number(untuned[0]) if untuned else "–",
        number(best["value"]),
        ", ".join(shown) or "as without search",
    ]
