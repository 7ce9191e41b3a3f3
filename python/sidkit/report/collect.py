"""Contents of a run directory for a report; any part may be missing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors import SafetensorError
from safetensors.numpy import load_file

from sidkit._arguments import checked
from sidkit.data import Dataset, EvaluationSet, item_categories, load_dataset
from sidkit.errors import FormatError, RunDirectoryError, SidkitError
from sidkit.evaluate import Metrics, Predictions
from sidkit.ids import SidTable
from sidkit.tokenizers import load_tokenizer
from sidkit.tokenizers.quality.inspection import Inspection, inspect_codes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["READ", "RunData", "read_history", "read_run", "read_toml"]

#: Patterns of the files in a run directory that `read_run` reads.
READ = (
    "embeddings.safetensors",
    "quantized.safetensors",
    "tokenizer.safetensors",
    "sids.parquet",
    "metrics.json",
    "models/*/history.json",
    "predictions/*.parquet",
)

_TITLE_COLUMNS = ("title", "name", "text", "description")
_LONGEST_TITLE = 250


@checked
@dataclass(frozen=True, eq=False)
class RunData:
    """Contents of a run for a report.

    Attributes:
        path: the run directory.
        settings: `run.toml`, one table per stage.
        stages: `seconds`, `peak_memory_bytes` and `facts` of each finished stage.
        table: the Semantic IDs.
        metrics: the results.
        histories: training history of each model, see `read_history`.
        predictions: the lists of each model with seen items excluded.
        seen_included: the lists of each model with seen items included.
        dataset: items and users; None if it cannot be loaded.
        missing_data: the reason why it cannot be loaded.
    """

    path: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    table: SidTable | None = None
    metrics: Metrics | None = None
    histories: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    predictions: Mapping[str, Predictions] = field(default_factory=dict)
    seen_included: Mapping[str, Predictions] = field(default_factory=dict)
    dataset: Dataset | None = None
    missing_data: str | None = None

    def lists(self, exclude_seen: bool) -> Mapping[str, Predictions]:
        """Lists of each model under one `exclude_seen` setting."""
        return self.predictions if exclude_seen else self.seen_included

    @property
    def name(self) -> str:
        """Name of the dataset, or of the directory if the dataset is unknown."""
        if self.dataset is not None:
            return self.dataset.name
        if self.metrics is not None and self.metrics.protocol.dataset:
            return self.metrics.protocol.dataset
        return str(self.facts("data").get("name") or self.path.resolve().name)

    def facts(self, stage: str) -> Mapping[str, Any]:
        """Figures recorded by a stage."""
        facts = self.stages.get(stage, {}).get("facts", {})
        return facts if isinstance(facts, Mapping) else {}

    @property
    def tokenizer(self) -> Mapping[str, Any]:
        """Figures of the tokenizer, recorded by its stage or in `metrics.json`."""
        return self.facts("tokenize") or (self.metrics.tokenizer if self.metrics else {})

    @property
    def flat_settings(self) -> dict[str, str]:
        """Every setting by its dotted name, with values as JSON."""
        return _flattened(self.settings)

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time of each stage."""
        timed = {name: stage.get("seconds") for name, stage in self.stages.items()}
        known = {name: float(value) for name, value in timed.items() if isinstance(value, int | float)}
        return known or dict(self.metrics.seconds if self.metrics else {})

    @cached_property
    def test(self) -> EvaluationSet | None:
        """Evaluation examples of the run, with histories."""
        if self.dataset is None:
            return None
        data = self.settings.get("data", {})
        options = {
            option: data[key]
            for option, key in (("kind", "split"), ("ties", "ties"), ("seed", "seed"))
            if key in data
        }
        split = self.dataset.split(**options)
        evaluated_on = self.metrics.protocol.evaluated_on if self.metrics else "test"
        return split.validation if evaluated_on == "validation" else split.test

    @cached_property
    def vectors(self) -> npt.NDArray[np.float32] | None:
        """Vectors that were tokenized, float32 (n, dim), in the order of the table; None if missing.

        Raises:
            FormatError: if the file is damaged or does not have one finite vector per item.
        """
        content = self.settings.get("tokenize", {}).get("vectors", "content") == "content"
        file = self.path / ("embeddings.safetensors" if content else "quantized.safetensors")
        if self.table is None or not len(self.table) or not file.is_file():
            return None
        return _vectors(file, len(self.table))

    @cached_property
    def inspection(self) -> Inspection | None:
        """Agreement of codes with content and categories; None without vectors, tokenizer and table.

        Raises:
            FormatError: if the tokenizer's file is damaged.
        """
        file = self.path / "tokenizer.safetensors"
        if self.table is None or self.vectors is None or not file.is_file():
            return None
        if not np.all(self.vectors.any(axis=1)):
            return None  # cosines are undefined for a zero vector
        return inspect_codes(
            load_tokenizer(file), self.vectors, codes=self.table.codes, categories=self.categories
        )

    @cached_property
    def categories(self) -> list[list[str]] | None:
        """Categories of each item of the table; None if there are none or the dataset is missing."""
        if self.dataset is None or self.table is None:
            return None
        found = item_categories(self.dataset.items)
        if found is None or self.dataset.item_ids.dtype != self.table.item_ids.dtype:
            return None
        by_id = dict(zip(self.dataset.item_ids.to_list(), found, strict=True))
        return [by_id.get(item, []) for item in self.table.item_ids.to_list()]

    @cached_property
    def titles(self) -> list[str] | None:
        """Title or other text of each item, shortened."""
        if self.dataset is None:
            return None
        items = self.dataset.items
        column = next((name for name in _TITLE_COLUMNS if name in items.columns), None)
        texts = (
            [None] * len(items) if column is None else items[column].cast(pl.String, strict=False).to_list()
        )
        ids = self.dataset.item_ids.to_list()
        return [_shortened(text) if text else str(id_) for text, id_ in zip(texts, ids, strict=True)]


@checked
def read_run(path: str | os.PathLike[str], *, dataset: Dataset | None = None) -> RunData:
    """Read the contents of a run directory.

    Args:
        path: the run directory; some of its files may be missing.
        dataset: the dataset of the run if it is loaded already; otherwise it is loaded from the source in
            `run.toml`. If that fails, the report has no titles and histories.

    Raises:
        RunDirectoryError: if there is no such directory, or it has no file of a run.
        FormatError: if a file is damaged; the message names it.
    """
    directory = Path(path)
    if not directory.is_dir():
        raise RunDirectoryError(
            f"no run directory at {directory}. Create one with `sidkit run DATA --out {directory}`"
        )
    settings = read_toml(directory / "run.toml")
    stages = _stages(directory / "stages.json")
    missing = None
    if dataset is None:
        dataset, missing = _load_dataset(settings, stages)
    sids, metrics = directory / "sids.parquet", directory / "metrics.json"
    lists = [Predictions.load(file) for file in sorted(directory.glob("predictions/*.parquet"))]
    included = {each.model: each for each in lists if not each.exclude_seen}
    excluded = {each.model: each for each in lists if each.exclude_seen}
    run = RunData(
        path=directory,
        settings=settings,
        stages=stages,
        table=SidTable.load(sids) if sids.is_file() else None,
        metrics=Metrics.load(metrics) if metrics.is_file() else None,
        histories={
            file.parent.name: read_history(file) for file in sorted(directory.glob("models/*/history.json"))
        },
        predictions=excluded,
        seen_included=included,
        dataset=dataset,
        missing_data=missing,
    )
    if not (settings or stages or run.table or run.metrics or run.histories):
        raise RunDirectoryError(
            f"{directory} is not a run directory: expected run.toml, sids.parquet or metrics.json, got none. "
            "Create one with `sidkit run`"
        )
    return run


def _load_dataset(
    settings: Mapping[str, Any], stages: Mapping[str, Mapping[str, Any]]
) -> tuple[Dataset | None, str | None]:
    data = settings.get("data", {})
    # The stage records an absolute path; the setting may be relative to the directory of the first call.
    source = stages.get("data", {}).get("facts", {}).get("source") or data.get("source")
    if source is None:
        return None, "`data.source` is not set in the run directory"
    names = ("columns", "min_user_events", "min_item_events", "unknown_items")
    options = {name: data[name] for name in names if name in data}
    try:
        return load_dataset(source, **options), None
    except (SidkitError, OSError) as error:
        return None, str(error)


def _flattened(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            flat |= _flattened(inner, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = json.dumps(inner, default=str, ensure_ascii=False)
    return flat


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_TITLE else text[: _LONGEST_TITLE - 1].rstrip() + "…"


def _json(path: Path) -> dict[str, Any]:
    try:
        contents = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: not a JSON file, or a truncated one ({error})") from error
    if not isinstance(contents, dict):
        raise FormatError(f"{path}: expected a JSON object, got {type(contents).__name__}")
    return contents


def _stages(path: Path) -> dict[str, Mapping[str, Any]]:
    if not path.is_file():
        return {}
    contents = _json(path)
    records = contents.get("stages", contents.get("records", {}))
    if not isinstance(records, dict) or not all(isinstance(record, dict) for record in records.values()):
        raise FormatError(f"{path}: expected one object per stage")
    return records


def _vectors(path: Path, items: int) -> npt.NDArray[np.float32]:
    try:
        vectors = load_file(path).get("embeddings")
    except (SafetensorError, OSError, TypeError) as error:
        raise FormatError(f"{path}: not a safetensors file, or a truncated one ({error})") from error
    if vectors is None or vectors.ndim != 2 or vectors.dtype != np.float32 or len(vectors) != items:
        found = "no such tensor" if vectors is None else f"{vectors.dtype} {vectors.shape}"
        raise FormatError(f"{path}: expected `embeddings`, float32 ({items}, dim), got {found}")
    if not np.isfinite(vectors).all():
        raise FormatError(f"{path}: a vector has an entry that is not finite")
    return vectors


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; a missing file is empty.

    Raises:
        FormatError: if it is not a TOML file.
    """
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(f"{path}: not a TOML file ({error})") from error


@checked
def read_history(path: Path) -> dict[str, Any]:
    """Read and validate the `history.json` of a training.

    Raises:
        FormatError: if it is damaged or another file.
    """
    history = _json(path)
    steps, evaluations = history.get("steps", []), history.get("evaluations", [])
    for name, entries, keys in (("steps", steps, ("step", "loss")), ("evaluations", evaluations, ("step",))):
        sound = isinstance(entries, list) and all(
            isinstance(entry, dict) and all(isinstance(entry.get(key), int | float) for key in keys)
            for entry in entries
        )
        if not sound:
            raise FormatError(f"{path}: `{name}` must be a list of objects with numbers {', '.join(keys)}")
    if not all(isinstance(entry.get("metrics"), dict) for entry in evaluations):
        raise FormatError(f"{path}: `evaluations` must hold `metrics`")
    return history | {"steps": steps, "evaluations": evaluations}
