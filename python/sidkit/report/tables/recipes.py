"""Table of the settings of stored trainings, as far as they differ from the defaults of the recommenders."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sidkit.recommenders.registry import RECOMMENDERS
from sidkit.report.names import model_name
from sidkit.report.numbers import count, memory
from sidkit.report.tables.markdown import markdown_table
from sidkit.report.tables.stored import StoredRun

__all__ = ["recipes_table"]

#: Options that are no part of a recipe.
_NOT_SHOWN = {"method", "seed", "device", "measure_gemm"}


def recipes_table(runs: Sequence[StoredRun]) -> str:
    """Format a Markdown table with one row per model: Semantic IDs, settings, parameters, and peak memory.

    Settings are read from the stored `run.toml` files; those equal to the current defaults of the recommender
    are omitted. Where trainings of a model differ, all values are listed.

    Args:
        runs: stored runs of one dataset.

    Raises:
        ConfigError: if a method is not a recommender.
        MissingExtraError: if an optional dependency of a recommender is not installed.
    """
    grouped: dict[str, list[StoredRun]] = {}
    for run in runs:
        if run.options:
            title = model_name(run.model) + (f", {run.variant}" if run.variant else "")
            grouped.setdefault(title, []).append(run)
    rows = [
        [
            title,
            " or ".join(dict.fromkeys(_semantic_ids(run.metrics.tokenizer) for run in trained)),
            _settings(trained),
            _largest(trained, _parameters, count),
            _largest(trained, _peak, memory),
        ]
        for title, trained in grouped.items()
    ]
    heads = ["model", "Semantic IDs", "settings that differ from the defaults", "parameters", "peak memory"]
    return markdown_table(heads, rows, names=3) + "\n"


def _settings(runs: Sequence[StoredRun]) -> str:
    defaults = _defaults(runs[0].method)
    shown = []
    for name in dict.fromkeys(name for run in runs for name in run.options):
        values = list(dict.fromkeys(_text(run.options[name]) for run in runs if name in run.options))
        if name not in _NOT_SHOWN and values != [_text(defaults.get(name))]:
            shown.append(f"`{name}` {' or '.join(values)}")
    return ", ".join(shown) or "none"


def _defaults(method: str) -> Mapping[str, Any]:
    """Return the default of every setting of a recommender."""
    return {
        field.name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        for field in dataclasses.fields(RECOMMENDERS[method])
    }


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:,g}" if abs(value) < 1e6 else f"{value:,.0f}"
    return str(list(value) if isinstance(value, tuple) else value)


def _semantic_ids(tokenizer: Mapping[str, Any]) -> str:
    """Name the tokenizer and its codebook sizes, `rqkmeans, 3 × 256`; a dash without Semantic IDs."""
    sizes = [level["codebook_size"] for level in tokenizer.get("levels", [])]
    if not sizes:
        return "–"
    alike = f"{len(sizes)} × {sizes[0]:,}"
    codes = alike if len(set(sizes)) == 1 else " × ".join(f"{size:,}" for size in sizes)
    return f"{tokenizer.get('method', 'unknown')}, {codes}"


def _parameters(run: StoredRun) -> object:
    return run.history.get("parameters")


def _peak(run: StoredRun) -> object:
    """Return the largest resident set during a training on the CPU, bytes."""
    peaks = run.metrics.machine.get("peak_memory_bytes", {})
    return None if run.gpu or not isinstance(peaks, Mapping) else peaks.get(f"train.{run.model}")


def _largest(
    runs: Sequence[StoredRun], of: Callable[[StoredRun], object], write: Callable[[object], str]
) -> str:
    known = [value for value in map(of, runs) if isinstance(value, int | float)]
    return write(max(known, default=None))
