"""Runs kept as results: `<results>/<dataset>/<model>[-<variant>][-shuffled][-masked]-seed<n>/`.

A folder holds `metrics.json`, the `run.toml` that made it, `history.json` where the model was trained in
steps, and `ranks.parquet`, from which metrics of each user come. The last two may be missing: runs kept
before there was such a file stay readable, and are only not compared user by user.
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
from sidkit.report.collect import read_history
from sidkit.report.vocabulary import baseline_last, model_name

__all__ = ["Entry", "Setting", "StoredRun", "settings_of", "stored_name", "stored_runs"]

_FOLDER = re.compile(r"(?P<model>[^-]+)(?:-(?P<setting>.+?))?-seed(?P<seed>\d+)$")
#: What the protocol tells too; anything else in a folder's name is a variant of the model.
_SHUFFLED, _MASKED = "shuffled", "masked"
_RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class StoredRun:
    """One stored result.

    Attributes:
        path: its folder.
        dataset: the name of the folder above.
        model: the first part of the folder's name.
        variant: what sets this model apart from its default, such as `joint`; empty for the default.
        seed: of the training.
        metrics: the contents of its `metrics.json`.
        history: those of `history.json`; empty where there is none.
        ranks: where the targets stood; None where that was not kept.
    """

    path: Path
    dataset: str
    model: str
    variant: str
    seed: int
    metrics: Metrics
    history: Mapping[str, Any] = field(default_factory=dict)
    ranks: TargetRanks | None = None

    @property
    def rankings(self) -> list[str]:
        """The ways in which its model ranks."""
        return [name for name in self.metrics.models if name.partition("-")[0] == self.model]

    @property
    def seconds(self) -> float | None:
        """Wall seconds of the training, over all resumed parts where that is known."""
        return _known(self.history.get("seconds")) or self.metrics.seconds.get(f"train.{self.model}")

    @property
    def cpu_seconds(self) -> float | None:
        """Processor seconds of the training; None where they were not measured."""
        measured = self.metrics.cpu_seconds.get(f"train.{self.model}")
        return _known(self.history.get("cpu_seconds")) or _known(measured)


@dataclass(frozen=True, eq=False)
class Entry:
    """One way in which one model ranks, over all its stored seeds.

    Attributes:
        ranking: such as `rqtransformer-dense`.
        variant: of the model, empty for the default.
        runs: by seed, at least one.
    """

    ranking: str
    variant: str
    runs: Sequence[StoredRun]

    @property
    def title(self) -> str:
        """How a table names it."""
        return model_name(self.ranking) + (f", {self.variant}" if self.variant else "")

    @property
    def seeds(self) -> list[int]:
        """The seeds, rising."""
        return [run.seed for run in self.runs]

    def values(self, metric: str) -> list[float]:
        """The metric of each seed that has it."""
        found = [run.metrics.find(self.ranking, metric) for run in self.runs]
        return [result.value for result in found if result is not None]

    def per_user(self, metric: str) -> npt.NDArray[np.float64] | None:
        """Average a metric over the seeds for each user, float64 (m,); None if a seed has no ranks kept."""
        columns = [_of_users(run.ranks, self.ranking, metric) for run in self.runs]
        kept = [column for column in columns if column is not None]
        if len(kept) < len(self.runs):
            return None
        for run in self.runs[1:]:
            _check_same(self.runs[0], run)
        average: npt.NDArray[np.float64] = np.stack(kept).mean(axis=0)
        return average

    def interval(self, metric: str) -> tuple[float, float] | None:
        """Give the 95 % interval over users of the mean over seeds; None if it cannot be known."""
        if len(self.runs) == 1:
            result = self.runs[0].metrics.find(self.ranking, metric)
            return None if result is None else result.ci95
        values = self.per_user(metric)
        return None if values is None else bootstrap_interval(values, resamples=_RESAMPLES)

    def gain_over(self, other: "Entry", metric: str) -> npt.NDArray[np.float64] | None:
        """Subtract the metric of another entry user by user, both averaged over their seeds first.

        Returns:
            float64 (m,); None if one of the two has no ranks kept.

        Raises:
            DataError: if the two were asked about different users or targets.
        """
        ours, theirs = self.per_user(metric), other.per_user(metric)
        if ours is None or theirs is None:
            return None
        _check_same(self.runs[0], other.runs[0])
        return ours - theirs


@dataclass(frozen=True, eq=False)
class Setting:
    """What was measured under the same rules: one table.

    Attributes:
        title: the rules in which tables of a dataset differ, in words.
        protocols: what they were in full, seeds united.
        entries: generators first, popularity last.
    """

    title: str
    protocols: Sequence[Protocol]
    entries: Sequence[Entry]


def stored_runs(results: str | os.PathLike[str], dataset: str) -> list[StoredRun]:
    """Read the stored runs of a dataset, ordered by model, variant and seed.

    Raises:
        DataError: if there is none, or a folder is not named as above, or does not hold what its name says.
        FormatError: if a file is damaged.
    """
    runs = [_read(dataset, path.parent) for path in sorted(Path(results, dataset).glob("*/metrics.json"))]
    if not runs:
        raise DataError(f"no stored run of `{dataset}`: expected {Path(results, dataset)}/*/metrics.json")
    return sorted(runs, key=lambda run: (run.model, run.variant, run.seed))


def stored_name(model: str, variant: str, protocol: Protocol, seed: int) -> str:
    """Give the name of a run's folder.

    Raises:
        ConfigError: if `variant` has other characters than letters, tokens, `_` and `.`, or is a word that
            the protocol tells.
    """
    if variant and (not re.fullmatch(r"[\w.]+", variant) or variant in (_SHUFFLED, _MASKED)):
        raise ConfigError(
            f"a variant is one word of letters, tokens, `_` and `.`, it was `{variant}`; masking and "
            "shuffled ties are named by themselves"
        )
    told = [_SHUFFLED] * (protocol.ties == "shuffle") + [_MASKED] * protocol.exclude_seen
    return "-".join([model, *([variant] if variant else []), *told, f"seed{seed}"])


def settings_of(runs: Iterable[StoredRun]) -> list[Setting]:
    """Group runs by the rules they were measured under, and within these by model, variant and ranking."""
    groups: dict[Protocol, list[StoredRun]] = {}
    for run in runs:
        rules = dataclasses.replace(
            run.metrics.protocol, seeds=(), beam=None, collisions=None, reassign="first"
        )
        groups.setdefault(rules, []).append(run)
    ordered = sorted(groups.items(), key=lambda group: (group[0].ties != "source", group[0].exclude_seen))
    return [Setting(_title(rules), _united(runs), _entries(runs)) for rules, runs in ordered]


def _entries(runs: Sequence[StoredRun]) -> list[Entry]:
    grouped: dict[tuple[str, str], list[StoredRun]] = {}
    for run in runs:
        for ranking in run.rankings:
            grouped.setdefault((ranking, run.variant), []).append(run)
    order = baseline_last(list(dict.fromkeys(ranking for ranking, _ in grouped)))
    keys = sorted(grouped, key=lambda key: (order.index(key[0]), key[1]))
    return [Entry(*key, grouped[key]) for key in keys]


def _title(rules: Protocol) -> str:
    seen = "Seen items masked" if rules.exclude_seen else "Nothing masked"
    ties = "as in the source" if rules.ties == "source" else f"shuffled (seed {rules.tie_seed})"
    split = "" if rules.split == "leave_last_out" else f", split by {rules.split.replace('_', ' ')}"
    return f"{seen}, equal times {ties}{split}"


def _united(runs: Sequence[StoredRun]) -> list[Protocol]:
    """Unite the protocols that differ in no more than seeds and in what some models do not have."""
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


def _read(dataset: str, folder: Path) -> StoredRun:
    name = _FOLDER.fullmatch(folder.name)
    if name is None:
        raise DataError(f"{folder}: a stored run must be named <model>-<setting>-seed<n>")
    model, seed = name["model"], int(name["seed"])
    metrics = Metrics.load(folder / "metrics.json")
    if model not in metrics.models:
        raise DataError(f"{folder}: expected results of `{model}`, as the folder says, got {metrics.models}")
    words = (name["setting"] or "").split("-") if name["setting"] else []
    variant = "-".join(word for word in words if word not in (_SHUFFLED, _MASKED))
    protocol = metrics.protocol
    if (_MASKED in words, _SHUFFLED in words) != (protocol.exclude_seen, protocol.ties == "shuffle"):
        raise DataError(
            f"{folder}: its name must hold `{_MASKED}` exactly if seen items were masked and `{_SHUFFLED}` "
            f"if ties were shuffled; its metrics.json says: {protocol.sentence()}"
        )
    if seed not in protocol.seeds:
        raise DataError(f"{folder}: its metrics.json is of the seeds {list(protocol.seeds)}")
    history, ranks = folder / "history.json", folder / "ranks.parquet"
    return StoredRun(
        folder,
        dataset,
        model,
        variant,
        seed,
        metrics,
        read_history(history) if history.is_file() else {},
        TargetRanks.load(ranks) if ranks.is_file() else None,
    )


def _of_users(ranks: TargetRanks | None, ranking: str, metric: str) -> npt.NDArray[np.float64] | None:
    return None if ranks is None or ranking not in ranks.models else ranks.metric(ranking, metric)


def _check_same(first: StoredRun, second: StoredRun) -> None:
    if first.ranks is None or second.ranks is None:
        return
    try:
        first.ranks.check_same_questions(second.ranks)
    except ConfigError as error:
        raise DataError(f"{first.path} and {second.path}: {error}") from error


def _known(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None
