"""Stored results: `<results>/<dataset>/<model>[-<variant>][-shuffled]-seed<n>/`.

A directory has `metrics.json` and the `run.toml` of the run, `history.json` if the model was trained in
steps, and `ranks.parquet`, the source of metrics of each user. The last two may be missing; results without
ranks have no paired comparisons.
"""

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.errors import ConfigError, DataError
from sidkit.evaluate import Metrics, Protocol, TargetRanks, bootstrap_interval
from sidkit.report.collect import read_history, read_toml
from sidkit.report.names import baseline_last, model_name

__all__ = ["Entry", "Setting", "StoredRun", "settings_of", "stored_name", "stored_runs"]

_FOLDER = re.compile(r"(?P<model>[^-]+)(?:-(?P<setting>.+?))?-seed(?P<seed>\d+)$")
#: Part of the name of a directory that follows from the protocol; other parts are a variant of the model.
_SHUFFLED = "shuffled"
_RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class StoredRun:
    """One stored result under one `exclude_seen` setting.

    Attributes:
        path: the directory.
        dataset: name of the dataset.
        model: name of the model.
        variant: difference from the default settings of the model, such as `attention`; empty for
            the default.
        seed: seed of the training.
        metrics: contents of `metrics.json` under the setting.
        history: contents of `history.json`; empty if missing.
        options: options of the model in `run.toml`; empty if missing.
        ranks: ranks of the targets under the setting; None if missing.
    """

    path: Path
    dataset: str
    model: str
    variant: str
    seed: int
    metrics: Metrics
    history: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    ranks: TargetRanks | None = None

    @property
    def method(self) -> str:
        """Name of the recommender in the registry; by default the name of the model."""
        return str(self.options.get("method", self.model))

    @property
    def rankings(self) -> list[str]:
        """Rankings of the model, such as `rqtransformer` and `rqtransformer-fused`."""
        return [name for name in self.metrics.models if name.partition("-")[0] == self.model]

    @property
    def seconds(self) -> float | None:
        """Wall seconds of the training, including resumed parts where known."""
        return _known(self.history.get("seconds")) or self.metrics.seconds.get(f"train.{self.model}")

    @property
    def gpu(self) -> str:
        """Name of the GPU of the training; empty for a training on the CPU."""
        return str(self.metrics.machine.get("gpu", ""))

    @property
    def cpu_seconds(self) -> float | None:
        """Processor seconds of the training; None if not recorded."""
        measured = self.metrics.cpu_seconds.get(f"train.{self.model}")
        return _known(self.history.get("cpu_seconds")) or _known(measured)


@dataclass(frozen=True, eq=False)
class Entry:
    """One ranking of one model, over all stored seeds.

    Attributes:
        ranking: name, such as `rqtransformer-fused`.
        variant: variant of the model, empty for the default.
        runs: at least one, by seed.
    """

    ranking: str
    variant: str
    runs: Sequence[StoredRun]

    @property
    def title(self) -> str:
        """Name in a table."""
        return model_name(self.ranking) + (f", {self.variant}" if self.variant else "")

    @property
    def method(self) -> str:
        """Name of the recommender in the registry."""
        return self.runs[0].method

    @property
    def seeds(self) -> list[int]:
        """Seeds in increasing order."""
        return [run.seed for run in self.runs]

    def values(self, metric: str) -> list[float]:
        """Return the metric of each seed that has it."""
        found = [run.metrics.find(self.ranking, metric) for run in self.runs]
        return [result.value for result in found if result is not None]

    def per_user(self, metric: str) -> npt.NDArray[np.float64] | None:
        """Average a metric over the seeds for each user, float64 (m,); None if a seed has no ranks."""
        columns = [_of_users(run.ranks, self.ranking, metric) for run in self.runs]
        kept = [column for column in columns if column is not None]
        if len(kept) < len(self.runs):
            return None
        for run in self.runs[1:]:
            _check_same(self.runs[0], run)
        average: npt.NDArray[np.float64] = np.stack(kept).mean(axis=0)
        return average

    def interval(self, metric: str) -> tuple[float, float] | None:
        """Compute the 95 % interval over users of the mean over seeds; None without ranks."""
        if len(self.runs) == 1:
            result = self.runs[0].metrics.find(self.ranking, metric)
            return None if result is None else result.ci95
        values = self.per_user(metric)
        return None if values is None else bootstrap_interval(values, resamples=_RESAMPLES)

    def gain_over(self, other: "Entry", metric: str) -> npt.NDArray[np.float64] | None:
        """Compute the difference from another entry for each user, after averaging both over seeds.

        Returns:
            float64 (m,); None if one of the two has no ranks.

        Raises:
            DataError: if the two have different users or targets.
        """
        ours, theirs = self.per_user(metric), other.per_user(metric)
        if ours is None or theirs is None:
            return None
        self.check_same_examples(other)
        return ours - theirs

    def check_same_examples(self, other: "Entry") -> None:
        """Check that another entry has the same users and targets, where both have ranks.

        Raises:
            DataError: if not.
        """
        _check_same(self.runs[0], other.runs[0])


@dataclass(frozen=True, eq=False)
class Setting:
    """Results under the same protocol: one table.

    Attributes:
        title: the part of the protocol in which the tables of a dataset differ.
        rules: the protocol without seeds, beam and collisions.
        protocols: full protocols, with united seeds.
        entries: generative models first, popularity last.
    """

    title: str
    rules: Protocol
    protocols: Sequence[Protocol]
    entries: Sequence[Entry]


def stored_runs(results: str | os.PathLike[str], dataset: str) -> list[StoredRun]:
    """Read the stored runs of a dataset, ordered by model, variant and seed.

    A run that was evaluated with both `exclude_seen` settings appears twice.

    Raises:
        DataError: if there is none, or the name of a directory is invalid or contradicts its contents.
        FormatError: if a file is damaged.
    """
    paths = sorted(Path(results, dataset).glob("*/metrics.json"))
    runs = [run for path in paths for run in _read(dataset, path.parent)]
    if not runs:
        raise DataError(f"no stored run of `{dataset}`: expected {Path(results, dataset)}/*/metrics.json")
    return sorted(runs, key=lambda run: (run.model, run.variant, run.seed))


def stored_name(model: str, variant: str, protocol: Protocol, seed: int) -> str:
    """Return the name of the directory of a result.

    Raises:
        ConfigError: if `variant` is not one word of letters, numbers, `_` and `.`, or is reserved.
    """
    if variant and (not re.fullmatch(r"[\w.]+", variant) or variant == _SHUFFLED):
        raise ConfigError(
            f"invalid variant: expected one word of letters, numbers, `_` and `.`, got `{variant}`. "
            f"The word `{_SHUFFLED}` is added automatically"
        )
    words = [model, *([variant] if variant else []), *[_SHUFFLED] * (protocol.ties == "shuffle")]
    return "-".join([*words, f"seed{seed}"])


def settings_of(runs: Iterable[StoredRun]) -> list[Setting]:
    """Group runs by protocol, and within a protocol by ranking and variant."""
    groups: dict[Protocol, list[StoredRun]] = {}
    for run in runs:
        rules = dataclasses.replace(
            run.metrics.protocol, seeds=(), beam=None, collisions=None, reassign="first"
        )
        groups.setdefault(rules, []).append(run)
    ordered = sorted(
        groups.items(), key=lambda group: (group[0].ties != "source", not group[0].exclude_seen[0])
    )
    return [Setting(_title(rules), rules, _united(runs), _entries(runs)) for rules, runs in ordered]


def _entries(runs: Sequence[StoredRun]) -> list[Entry]:
    grouped: dict[tuple[str, str], list[StoredRun]] = {}
    for run in runs:
        for ranking in run.rankings:
            grouped.setdefault((ranking, run.variant), []).append(run)
    order = baseline_last(list(dict.fromkeys(ranking for ranking, _ in grouped)))
    keys = sorted(grouped, key=lambda key: (order.index(key[0]), key[1]))
    return [Entry(*key, grouped[key]) for key in keys]


def _title(rules: Protocol) -> str:
    split = "" if rules.split == "leave_last_out" else f", {rules.split.replace('_', '-')} split"
    title = f"{rules.seen_phrase()}, {rules.ties_phrase()}{split}"
    return title[0].upper() + title[1:]


def _united(runs: Sequence[StoredRun]) -> list[Protocol]:
    """Combine protocols that differ only in seeds, beam and collisions."""
    united: list[Protocol] = []
    for run in sorted(runs, key=lambda run: run.metrics.protocol.beam is None):
        for place, protocol in enumerate(united):
            try:
                united[place] = protocol.combined(run.metrics.protocol)
                break
            except ConfigError:
                continue
        else:
            united.append(run.metrics.protocol)
    return united


def _read(dataset: str, directory: Path) -> list[StoredRun]:
    name = _FOLDER.fullmatch(directory.name)
    if name is None:
        raise DataError(f"{directory}: invalid name: expected <model>[-<variant>][-{_SHUFFLED}]-seed<n>")
    model, seed = name["model"], int(name["seed"])
    metrics = Metrics.load(directory / "metrics.json")
    if model not in metrics.models:
        raise DataError(f"{directory}: expected results of `{model}`, got {metrics.models}")
    words = (name["setting"] or "").split("-") if name["setting"] else []
    variant = "-".join(word for word in words if word != _SHUFFLED)
    protocol = metrics.protocol
    if (_SHUFFLED in words) != (protocol.ties == "shuffle"):
        raise DataError(
            f"{directory}: the name must have `{_SHUFFLED}` exactly if tied timestamps were shuffled, got "
            f"{protocol.ties_phrase()} in metrics.json"
        )
    if seed not in protocol.seeds:
        raise DataError(f"{directory}: expected results of seed {seed}, got {list(protocol.seeds)}")
    history, ranks = directory / "history.json", directory / "ranks.parquet"
    course = read_history(history) if history.is_file() else {}
    stored = TargetRanks.load(ranks) if ranks.is_file() else None
    options = read_toml(directory / "run.toml").get("recommenders", {}).get(model, {})
    return [
        StoredRun(
            path=directory,
            dataset=dataset,
            model=model,
            variant=variant,
            seed=seed,
            metrics=metrics.under(setting),
            history=course,
            options=options,
            ranks=None if stored is None else stored.under(setting),
        )
        for setting in protocol.exclude_seen
    ]


def _of_users(ranks: TargetRanks | None, ranking: str, metric: str) -> npt.NDArray[np.float64] | None:
    return None if ranks is None or ranking not in ranks.models else ranks.metric(ranking, metric)


def _check_same(first: StoredRun, second: StoredRun) -> None:
    if first.ranks is None or second.ranks is None:
        return
    try:
        first.ranks.check_same_examples(second.ranks)
    except ConfigError as error:
        raise DataError(f"{first.path} and {second.path}: {error}") from error


def _known(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None
