"""`metrics.json`: results with their protocol, machine, versions and run times."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sidkit._arguments import checked
from sidkit._files import write_text
from sidkit.errors import ConfigError, FormatError
from sidkit.evaluate.protocol import Protocol

__all__ = ["Metrics", "Result"]

# Far above any real file: 100 models x 20 slices x 20 metrics are 5 MB.
_LARGEST_BYTES = 64_000_000
#: Splits whose tables show warm and cold targets.
_COLD_SPLITS = ("cold_items", "global_time")
_LOSSES = ("level_loss", "bigram_loss")


@dataclass(frozen=True)
class Result:
    """One measured value.

    Attributes:
        model: the model.
        slice: `all`, or a group of users.
        metric: name of the metric, such as `ndcg@10`.
        value: the mean over the users of the slice.
        ci95: ends of the 95 % bootstrap interval; None for figures that are not means over users.
        exclude_seen: whether the items of a user's history were excluded from the lists.
    """

    model: str
    slice: str
    metric: str
    value: float
    ci95: tuple[float, float] | None = None
    exclude_seen: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of `metrics.json`."""
        ends = None if self.ci95 is None else list(self.ci95)
        return {
            "model": self.model,
            "slice": self.slice,
            "metric": self.metric,
            "exclude_seen": self.exclude_seen,
            "value": self.value,
            "ci95": ends,
        }


@dataclass(frozen=True)
class Metrics:
    """Contents of a `metrics.json`.

    Attributes:
        protocol: how `results` were measured.
        results: the values, in the order in which the models were measured.
        tokenizer: figures of the Semantic IDs: `unique_rate`, and per level `perplexity` and `mse`, ….
        seconds: wall time of each stage.
        diagnostics: for each generative model, validation losses by level: `level_loss`, and `bigram_loss`
            as in `bigram_losses`.
        training: for each trained model, `tokens_per_second`, `flops` of all steps, and `gemm_share`, the
            fraction of the speed of a plain matrix product; empty if not recorded.
        cpu_seconds: processor time of each stage over all threads; empty if not recorded.
        machine: see `machine_facts`.
        versions: package versions, see `version_facts`.
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
        """Names of the models, in order."""
        return list(dict.fromkeys(result.model for result in self.results))

    @property
    def cold_start(self) -> list[tuple[str, str]]:
        """Metrics and slices that tables of the splits `cold_items` and `global_time` show in addition.

        Recall and NDCG of warm and of cold targets, and the share of cold items in the lists, at cut-off 10
        or else the largest; empty for other splits and where nothing of it was measured.
        """
        if self.protocol.split not in _COLD_SPLITS:
            return []
        measured = {(each.metric, each.slice) for each in self.results}
        cutoffs = [int(metric.partition("@")[2]) for metric, _ in measured if metric.startswith("ndcg@")]
        k = 10 if 10 in cutoffs else max(cutoffs, default=0)
        shown = [(f"{kind}@{k}", group) for group in ("warm", "cold") for kind in ("recall", "ndcg")]
        return [pair for pair in [*shown, (f"cold@{k}", "all")] if pair in measured]

    @checked
    def find(
        self, model: str, metric: str, slice: str = "all", *, exclude_seen: bool | None = None
    ) -> Result | None:
        """Return one result, or None if it was not measured.

        Without `exclude_seen`, lists without seen items are preferred: these are what `recommend` returns.
        """
        key = (model, slice, metric)
        found = {r.exclude_seen: r for r in self.results if (r.model, r.slice, r.metric) == key}
        if exclude_seen is not None:
            return found.get(exclude_seen)
        return found.get(True, found.get(False))

    @checked
    def under(self, exclude_seen: bool) -> Metrics:
        """Return the results of one `exclude_seen` setting.

        Raises:
            ConfigError: if nothing was measured under it.
        """
        if exclude_seen not in self.protocol.exclude_seen:
            raise ConfigError(
                f"no results with exclude_seen={exclude_seen}: expected one of "
                f"{list(self.protocol.exclude_seen)}. Evaluate the run with this setting first"
            )
        return dataclasses.replace(
            self,
            protocol=dataclasses.replace(self.protocol, exclude_seen=(exclude_seen,)),
            results=[result for result in self.results if result.exclude_seen == exclude_seen],
        )

    @checked
    def merged(self, other: Metrics) -> Metrics:
        """Combine two sets of results; where both measured a model and setting, those of `other` are kept.

        Raises:
            ConfigError: if the protocols differ in more than seeds, beam and collisions.
        """
        newer = {(result.model, result.exclude_seen) for result in other.results}
        kept = [result for result in self.results if (result.model, result.exclude_seen) not in newer]
        return Metrics(
            protocol=self.protocol.combined(other.protocol),
            results=kept + other.results,
            tokenizer=self.tokenizer | other.tokenizer,
            seconds=self.seconds | other.seconds,
            machine=self.machine | other.machine,
            versions=self.versions | other.versions,
            slices=self.slices | other.slices,
            cpu_seconds=self.cpu_seconds | other.cpu_seconds,
            diagnostics=self.diagnostics | other.diagnostics,
            training=self.training | other.training,
        )

    @checked
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file atomically, one result per line.

        Raises:
            ConfigError: if a value is not valid JSON, such as NaN.
        """
        sections = {
            "protocol": self.protocol.as_dict(),
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
            written = {name: json.dumps(value, allow_nan=False) for name, value in sections.items()}
            results = [json.dumps(result.as_dict(), allow_nan=False) for result in self.results]
        except (ValueError, TypeError) as error:
            raise ConfigError(f"a value of the metrics is not valid JSON: {error}") from error
        written["results"] = "[\n  " + ",\n  ".join(results) + "\n ]" if results else "[]"
        lines = [f' "{name}": {text}' for name, text in written.items()]
        write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")

    @classmethod
    @checked
    def load(cls, path: str | os.PathLike[str]) -> Metrics:
        """Read and validate a file that `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            FormatError: if it is not a complete `metrics.json`.
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
    keys = {(result.model, result.slice, result.metric, result.exclude_seen) for result in read}
    if len(keys) != len(read):
        raise FormatError("`results` must hold every model, slice, metric and `exclude_seen` once")
    settings = {result.exclude_seen for result in read}
    if not settings <= set(protocol.exclude_seen):
        raise FormatError(
            f"`exclude_seen` of a result must be one of the protocol's {list(protocol.exclude_seen)}, "
            f"got {sorted(settings)}"
        )
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
    for model, figures in rest["diagnostics"].items():
        losses = [figures.get(name) for name in _LOSSES] if isinstance(figures, Mapping) else [None]
        if not all(isinstance(column, list) and all(map(_is_number, column)) for column in losses):
            raise FormatError(f"`diagnostics` of `{model}` must hold lists of numbers, {', '.join(_LOSSES)}")
    for model, figures in rest["training"].items():
        if not (isinstance(figures, Mapping) and all(map(_is_number, figures.values()))):
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
    exclude_seen = values.get("exclude_seen")
    if not isinstance(exclude_seen, bool):
        raise FormatError(f"{where}: `exclude_seen` must be true or false, got {exclude_seen!r}")
    return Result(str(model), str(group), str(metric), float(value), interval, exclude_seen)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
