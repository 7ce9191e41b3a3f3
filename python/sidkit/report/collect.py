"""What a run directory holds, read through the loaders of the stages that wrote it; any part may be missing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors import SafetensorError
from safetensors.numpy import load_file

from sidkit.data import Dataset, EvaluationSet, item_categories, load_dataset, split_dataset
from sidkit.errors import FormatError, RunDirectoryError, SidkitError
from sidkit.evaluate import Metrics, Predictions
from sidkit.ids import SidTable

if TYPE_CHECKING:
    from sidkit.tokenizers import Inspection

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["READ", "RunData", "read_history", "read_run"]

#: Patterns of the files in a run directory that stages wrote and `read_run` believes.
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
_LONGEST_TITLE = 140


@dataclass(frozen=True, eq=False)
class RunData:
    """The parts of a run that a report shows.

    Attributes:
        path: the run directory.
        settings: `run.toml`, one table a stage.
        stages: of each finished stage: `seconds`, `peak_memory_bytes`, `facts`.
        table: the Semantic IDs.
        metrics: the results.
        histories: the course of each model's training, as `history.json` holds it.
        predictions: what each model recommended.
        dataset: items and users; None if it cannot be loaded here.
        missing_data: why not.
    """

    path: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    table: SidTable | None = None
    metrics: Metrics | None = None
    histories: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    predictions: Mapping[str, Predictions] = field(default_factory=dict)
    dataset: Dataset | None = None
    missing_data: str | None = None

    @property
    def name(self) -> str:
        """What the run is about: the name of the dataset, else that of the folder."""
        if self.dataset is not None:
            return self.dataset.name
        if self.metrics is not None and self.metrics.protocol.dataset:
            return self.metrics.protocol.dataset
        return str(self.facts("data").get("name") or self.path.resolve().name)

    def facts(self, stage: str) -> Mapping[str, Any]:
        """The small figures that a stage left."""
        facts = self.stages.get(stage, {}).get("facts", {})
        return facts if isinstance(facts, Mapping) else {}

    @property
    def tokenizer(self) -> Mapping[str, Any]:
        """Facts of the tokenizer, from its stage or else from `metrics.json`."""
        return self.facts("tokenize") or (self.metrics.tokenizer if self.metrics else {})

    @property
    def flat_settings(self) -> dict[str, str]:
        """Every setting by its dotted name, its value written as JSON."""
        return _flattened(self.settings)

    @property
    def seconds(self) -> dict[str, float]:
        """The wall time of each stage."""
        timed = {name: stage.get("seconds") for name, stage in self.stages.items()}
        known = {name: float(value) for name, value in timed.items() if isinstance(value, int | float)}
        return known or dict(self.metrics.seconds if self.metrics else {})

    @cached_property
    def test(self) -> EvaluationSet | None:
        """The users that were measured, with their histories."""
        if self.dataset is None:
            return None
        data = self.settings.get("data", {})
        options = {
            option: data[key]
            for option, key in (("kind", "split"), ("ties", "ties"), ("seed", "seed"))
            if key in data
        }
        split = split_dataset(self.dataset, **options)
        part = self.metrics.protocol.part if self.metrics else "test"
        return split.validation if part == "valid" else split.test

    @cached_property
    def vectors(self) -> npt.NDArray[np.float32] | None:
        """The vectors that were quantized, f32 (n, dim), in the order of the table; None without them or it.

        Raises:
            FormatError: if the file is damaged or has not one finite vector for each item of the table.
        """
        content = self.settings.get("tokenize", {}).get("vectors", "content") == "content"
        file = self.path / ("embeddings.safetensors" if content else "quantized.safetensors")
        if self.table is None or not len(self.table) or not file.is_file():
            return None
        return _vectors(file, len(self.table))

    @cached_property
    def inspection(self) -> Inspection | None:
        """How codes follow content and categories; None without vectors, tokenizer and table.

        Raises:
            FormatError: if the tokenizer's file is damaged.
        """
        file = self.path / "tokenizer.safetensors"
        if self.table is None or self.vectors is None or not file.is_file():
            return None
        if not np.all(self.vectors.any(axis=1)):
            return None  # a zero vector has no direction, so there are no cosines
        from sidkit.tokenizers import inspect_codes, load_tokenizer

        return inspect_codes(
            load_tokenizer(file), self.vectors, codes=self.table.codes, categories=self.categories
        )

    @cached_property
    def categories(self) -> list[list[str]] | None:
        """The categories of each item of the table; None if there are none or the data is not here."""
        if self.dataset is None or self.table is None:
            return None
        found = item_categories(self.dataset.items)
        if found is None or self.dataset.item_ids.dtype != self.table.item_ids.dtype:
            return None
        by_id = dict(zip(self.dataset.item_ids.to_list(), found, strict=True))
        return [by_id.get(item, []) for item in self.table.item_ids.to_list()]

    @cached_property
    def titles(self) -> list[str] | None:
        """A short text for each item: its title, or what else it has."""
        if self.dataset is None:
            return None
        items = self.dataset.items
        column = next((name for name in _TITLE_COLUMNS if name in items.columns), None)
        texts = (
            [None] * len(items) if column is None else items[column].cast(pl.String, strict=False).to_list()
        )
        ids = self.dataset.item_ids.to_list()
        return [_shortened(text) if text else str(id_) for text, id_ in zip(texts, ids, strict=True)]


def read_run(path: str | os.PathLike[str], *, dataset: Dataset | None = None) -> RunData:
    """Read all that a run directory holds so far.

    Args:
        path: the run directory; it may lack any of its files, but not all.
        dataset: the run's dataset if it is at hand; otherwise it is loaded from where `run.toml` says, and
            if that fails, the report does without titles and histories.

    Raises:
        RunDirectoryError: if there is no such folder, or nothing of a run in it.
        FormatError: if a file is truncated or foreign; the message names it.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise RunDirectoryError(f"no run directory at {folder}; `sidkit run DATA --out {folder}` makes one")
    settings = _toml(folder / "run.toml")
    stages = _stages(folder / "stages.json")
    missing = None
    if dataset is None:
        dataset, missing = _load_dataset(settings, stages)
    sids, metrics = folder / "sids.parquet", folder / "metrics.json"
    run = RunData(
        path=folder,
        settings=settings,
        stages=stages,
        table=SidTable.load(sids) if sids.is_file() else None,
        metrics=Metrics.load(metrics) if metrics.is_file() else None,
        histories={
            file.parent.name: read_history(file) for file in sorted(folder.glob("models/*/history.json"))
        },
        predictions={
            file.stem: Predictions.load(file) for file in sorted(folder.glob("predictions/*.parquet"))
        },
        dataset=dataset,
        missing_data=missing,
    )
    if not (settings or stages or run.table or run.metrics or run.histories):
        raise RunDirectoryError(
            f"{folder} holds nothing of a run: no run.toml, no sids.parquet, no metrics.json"
        )
    return run


def _load_dataset(
    settings: Mapping[str, Any], stages: Mapping[str, Mapping[str, Any]]
) -> tuple[Dataset | None, str | None]:
    data = settings.get("data", {})
    # The stage noted the place as seen from anywhere; the setting may be relative to where the run began.
    source = stages.get("data", {}).get("facts", {}).get("source") or data.get("source")
    if source is None:
        return None, "the run directory does not say where the data is"
    names = ("min_user_events", "min_item_events", "unknown_items")
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


def _toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(f"{path}: not a TOML file of settings ({error})") from error


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
        raise FormatError(f"{path}: expected one object a stage")
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


def read_history(path: Path) -> dict[str, Any]:
    """Read the `history.json` of a training.

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
