"""`metrics.json`: results, and beside them all that one must know to trust or repeat them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sidkit._files import write_text
from sidkit.errors import ConfigError, FormatError
from sidkit.evaluate.protocol import Protocol

__all__ = ["Metrics", "Result"]

# Far above any real file: 100 models x 20 slices x 20 metrics are 5 MB.
_LARGEST_BYTES = 64_000_000
_LOSSES = ("level_loss", "bigram_loss")


@dataclass(frozen=True)
class Result:
    """One number.

    Attributes:
        model: the model measured.
        slice: `all`, or a group of users.
        metric: such as `ndcg@10`.
        value: the mean over the users of the slice.
        ci95: the ends of the 95 % bootstrap interval; None for what is not a mean over users.
    """

    model: str
    slice: str
    metric: str
    value: float
    ci95: tuple[float, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give the result as `metrics.json` holds it."""
        ends = None if self.ci95 is None else list(self.ci95)
        return {
            "model": self.model,
            "slice": self.slice,
            "metric": self.metric,
            "value": self.value,
            "ci95": ends,
        }


@dataclass(frozen=True)
class Metrics:
    """The contents of a `metrics.json`.

    Attributes:
        protocol: how everything in `results` was measured.
        results: the numbers, in the order in which the models were measured.
        tokenizer: facts of the Semantic IDs: `unique_rate`, and per level `perplexity` and `mse`, ….
        seconds: the wall time of each stage.
        diagnostics: of each generator, losses by level on validation: `level_loss`, and `bigram_loss`, see
            `bigram_losses`.
        training: of each trained model, `tokens_per_second`, `flops` of all its steps, and `gemm_share`, the
            share of the speed of a plain matrix product that they reached; empty in files that do not tell.
        cpu_seconds: the processor time of each stage, over all threads; empty in files that do not tell.
        machine: what it ran on, see `machine_facts`.
        versions: of the packages that matter, see `version_facts`.
        slices: the number of users in each slice.
    """

    protocol: Protocol
    results: list[Result]
    tokenizer: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    slices: dict[str, int] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    diagnostics: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        """The models, in order."""
        return list(dict.fromkeys(result.model for result in self.results))

    def find(self, model: str, metric: str, slice: str = "all") -> Result | None:
        """Give one result, or None if it was not measured."""
        wanted = (model, slice, metric)
        return next((r for r in self.results if (r.model, r.slice, r.metric) == wanted), None)

    def merged(self, other: Metrics) -> Metrics:
        """Give both in one; where both measured a model, `other` is the newer and all its results stand.

        Raises:
            ConfigError: if the two were measured under protocols that do not go together.
        """
        newer = set(other.models)
        return Metrics(
            protocol=self.protocol.joined(other.protocol),
            results=[result for result in self.results if result.model not in newer] + other.results,
            tokenizer=self.tokenizer | other.tokenizer,
            seconds=self.seconds | other.seconds,
            machine=self.machine | other.machine,
            versions=self.versions | other.versions,
            slices=self.slices | other.slices,
            cpu_seconds=self.cpu_seconds | other.cpu_seconds,
            diagnostics=self.diagnostics | other.diagnostics,
            training=self.training | other.training,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all.

        Raises:
            ConfigError: if a value cannot be written, such as NaN.
        """
        contents = {
            "protocol": self.protocol.as_dict(),
            "results": [result.as_dict() for result in self.results],
            "tokenizer": self.tokenizer,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "machine": self.machine,
            "versions": self.versions,
            "slices": self.slices,
            "diagnostics": self.diagnostics,
            "training": self.training,
        }
        try:
            text = json.dumps(contents, indent=1, allow_nan=False)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"metrics hold a value that JSON cannot: {error}") from error
        write_text(path, text + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Metrics:
        """Read and check a file that `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            FormatError: if it is not a whole `metrics.json` of the expected shape.
        """
        if Path(path).stat().st_size > _LARGEST_BYTES:
            raise FormatError(f"{path}: larger than any metrics.json ({_LARGEST_BYTES:,} bytes)")
        try:
            contents = json.loads(Path(path).read_bytes())
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{path}: not a metrics.json, or a truncated one ({error})") from error
        try:
            return _from_json(contents)
        except (ConfigError, FormatError) as error:
            raise FormatError(f"{path}: {error}") from error


def _from_json(contents: object) -> Metrics:
    sections = _object("the file", contents)
    protocol = Protocol.from_dict(_object("protocol", sections.get("protocol")))
    results = sections.get("results")
    if not isinstance(results, list):
        raise FormatError(f"`results` must be a list, got {type(results).__name__}")
    read = [_result(number, entry) for number, entry in enumerate(results)]
    seen = {(result.model, result.slice, result.metric) for result in read}
    if len(seen) != len(read):
        raise FormatError("`results` must hold every model, slice and metric once")
    rest = {
        name: _object(name, sections.get(name, {}))
        for name in (
            "tokenizer",
            "seconds",
            "cpu_seconds",
            "machine",
            "versions",
            "slices",
            "diagnostics",
            "training",
        )
    }
    for name in ("seconds", "cpu_seconds"):
        if not all(_is_number(value) for value in rest[name].values()):
            raise FormatError(f"`{name}` must hold a number for every stage")
    for model, told in rest["diagnostics"].items():
        losses = [told.get(name) for name in _LOSSES] if isinstance(told, Mapping) else [None]
        if not all(isinstance(column, list) and all(map(_is_number, column)) for column in losses):
            raise FormatError(f"`diagnostics` of `{model}` must hold lists of numbers, {', '.join(_LOSSES)}")
    for model, told in rest["training"].items():
        if not (isinstance(told, Mapping) and all(map(_is_number, told.values()))):
            raise FormatError(f"`training` of `{model}` must hold numbers")
    if not all(isinstance(value, str) for value in rest["versions"].values()):
        raise FormatError("`versions` must hold a text for every package")
    if not all(type(value) is int for value in rest["slices"].values()):
        raise FormatError("`slices` must hold a number of users for every slice")
    return Metrics(protocol, read, **rest)


def _object(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise FormatError(f"`{name}` must be an object, got {type(value).__name__}")
    return dict(value)


def _result(number: int, entry: object) -> Result:
    where = f"results[{number}]"
    values = _object(where, entry)
    model, group, metric = (values.get(name) for name in ("model", "slice", "metric"))
    if not all(isinstance(text, str) and text for text in (model, group, metric)):
        raise FormatError(
            f"{where} must name its model, slice and metric, got {model!r}, {group!r}, {metric!r}"
        )
    value, ends = values.get("value", ""), values.get("ci95")
    if not _is_number(value):
        raise FormatError(f"{where}: `value` must be a number, got {value!r}")
    if ends is not None and not (
        isinstance(ends, list) and len(ends) == 2 and all(map(_is_number, ends)) and ends[0] <= ends[1]
    ):
        raise FormatError(f"{where}: `ci95` must be [low, high] or null, got {ends!r}")
    interval = None if ends is None else (float(ends[0]), float(ends[1]))
    return Result(str(model), str(group), str(metric), float(value), interval)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
