"""Evaluation protocol: the settings under which metrics were measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sidkit._arguments import Count, Seed, check_argument, checked, shown
from sidkit.data import EvaluationSet
from sidkit.errors import ConfigError

__all__ = ["Protocol"]

_CHOICES = {
    "split": ("leave_last_out", "global_time", "given", "cold_items"),
    "ties": ("source", "shuffle"),
    "collisions": ("suffix", "reassign", "share"),
    "reassign": ("first", "nearest", "sinkhorn"),
    "evaluated_on": ("test", "validation"),
}
_SEEN = {True: "excluded", False: "included"}


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Settings of an evaluation; two metrics are comparable only if these agree.

    Attributes:
        split: kind of split, `leave_last_out`, `global_time`, `given` (the dataset's own) or `cold_items`.
        ties: order of a user's events with tied timestamps: `source`, as in the file, or `shuffle`.
        tie_seed: seed of the shuffle; 0 with `source`.
        exclude_seen: whether the items of a user's history were excluded from the lists: one setting, or
            both with True first. A single bool is accepted.
        collisions: collision policy of the Semantic IDs; None for models without Semantic IDs.
        reassign: method of the policy `reassign`; `first` for other policies.
        candidates: number of ranked items, always the full catalogue.
        beam: beam width; None if every item was scored.
        seeds: seeds of the trainings.
        users: number of users.
        evaluated_on: `test`, or `validation` during model selection.
        cold_share: share of the items that were held out from training; None unless the split is
            `cold_items`.
        cold_seed: seed of their draw; None unless the split is `cold_items`.
        dataset: name of the dataset.
        resamples: bootstrap samples per interval.

    Raises:
        ConfigError: if a value is not one of those above.
    """

    split: Literal["leave_last_out", "global_time", "given", "cold_items"] = "leave_last_out"
    ties: Literal["source", "shuffle"] = "source"
    tie_seed: Seed = 0
    exclude_seen: tuple[bool, ...] = (True,)
    collisions: Literal["suffix", "reassign", "share"] | None = None
    reassign: Literal["first", "nearest", "sinkhorn"] = "first"
    candidates: int
    beam: int | None = None
    seeds: tuple[int, ...] = (0,)
    users: int
    evaluated_on: Literal["test", "validation"] = "test"
    cold_share: float | None = None
    cold_seed: Seed | None = None
    dataset: str = ""
    resamples: Count = 1000

    def __post_init__(self) -> None:
        """Validate every value."""
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value is None and name == "collisions":
                continue
            if not isinstance(value, str) or value not in choices:
                raise ConfigError(
                    f"protocol: `{name}` must be one of {', '.join(choices)}, got {shown(value)}"
                )
        if self.reassign != "first" and self.collisions != "reassign":
            raise ConfigError(
                f"protocol: `reassign` {self.reassign!r} requires the policy `reassign`, "
                f"got {self.collisions!r}"
            )
        object.__setattr__(self, "seeds", tuple(check_argument("seeds", self.seeds, Iterable[Any])))
        for name, least in (("candidates", 1), ("users", 1), ("resamples", 2), ("tie_seed", 0)):
            _check_integer(name, getattr(self, name), least)
        if self.beam is not None:
            _check_integer("beam", self.beam, 1)
        for seed in self.seeds:
            _check_integer("seeds", seed, 0)
        _check_cold(self.split, self.cold_share, self.cold_seed)
        object.__setattr__(self, "exclude_seen", _settings(self.exclude_seen))
        if not isinstance(self.dataset, str):
            raise ConfigError(f"protocol: `dataset` must be a name, got {shown(self.dataset)}")

    @classmethod
    @checked
    def of(cls, examples: EvaluationSet, **others: Any) -> Protocol:
        """Build a protocol whose data and split are those of evaluation examples.

        Args:
            examples: such as `split.test`.
            **others: the other attributes.
        """
        names = ("dataset", "split", "ties", "tie_seed", "cold_share", "cold_seed")
        facts = {name: getattr(examples, name) for name in names}
        return cls(**facts, evaluated_on=examples.part, users=len(examples), **others)

    def as_dict(self) -> dict[str, Any]:
        """Return the object of `metrics.json`; values that apply to some protocols only where they do."""
        lists = {"seeds": list(self.seeds), "exclude_seen": list(self.exclude_seen)}
        values = dataclasses.asdict(self) | lists
        if self.reassign == "first":
            del values["reassign"]
        if self.split != "cold_items":
            del values["cold_share"], values["cold_seed"]
        return values

    @classmethod
    @checked
    def from_dict(cls, values: Mapping[str, Any]) -> Protocol:
        """Build a protocol from the output of `as_dict`.

        Raises:
            ConfigError: if a key is unknown or missing, or a value is out of range.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        unknown, missing = sorted(set(values) - names), sorted({"candidates", "users"} - set(values))
        if unknown or missing:
            raise ConfigError(f"protocol: unknown keys {unknown}, missing keys {missing}")
        if not isinstance(values.get("seeds", []), list | tuple):
            raise ConfigError(f"protocol: `seeds` must be a list, got {shown(values['seeds'])}")
        return cls(**values)

    @checked
    def combined(self, other: Protocol) -> Protocol:
        """Combine the protocols of two sets of results for one file.

        Seeds and `exclude_seen` settings are united; `beam`, `collisions` and `reassign` may be missing on
        one side, as for a model without Semantic IDs.

        Raises:
            ConfigError: if the two differ in anything else.
        """
        merged = dataclasses.asdict(self)
        for name, theirs in dataclasses.asdict(other).items():
            ours = merged[name]
            if name in ("seeds", "exclude_seen"):
                merged[name] = tuple(sorted({*ours, *theirs}))
            elif name in ("beam", "collisions") and None in (ours, theirs):
                merged[name] = theirs if ours is None else ours
            elif name == "reassign" and None in (self.collisions, other.collisions):
                merged[name] = ours if other.collisions is None else theirs
            elif ours != theirs:
                raise ConfigError(
                    f"results of different protocols cannot be combined: `{name}` is {ours!r} and "
                    f"{theirs!r}. Evaluate both with the same setting"
                )
        return Protocol(**merged)

    def ties_phrase(self) -> str:
        """Describe the order of tied timestamps: `tied timestamps in source order`."""
        if self.ties == "source":
            return "tied timestamps in source order"
        return f"tied timestamps shuffled with seed {self.tie_seed}"

    def seen_phrase(self) -> str:
        """Describe the treatment of seen items: `seen items excluded`."""
        return "seen items " + " and ".join(_SEEN[setting] for setting in self.exclude_seen)

    def _held_out(self) -> list[str]:
        if self.cold_share is None:
            return []
        return [
            f"{self.cold_share:.0%} of the items held out from training and histories (draw {self.cold_seed})"
        ]

    def sentence(self) -> str:
        """Describe the protocol in one line, for the caption of a table."""
        parts = [
            f"{self.dataset}, {self.evaluated_on} set" if self.dataset else f"{self.evaluated_on} set",
            f"{self.split.replace('_', '-')} split",
            *self._held_out(),
            self.ties_phrase(),
            self.seen_phrase(),
            f"all {self.candidates:,} items are candidates",
            f"{self.users:,} users",
        ]
        if self.collisions is not None:
            method = "" if self.reassign == "first" else f" ({self.reassign})"
            parts.append(f"collisions by {self.collisions}{method}")
        if self.beam is not None:
            parts.append(f"beam {self.beam}")
        seeds = ", ".join(map(str, self.seeds))
        parts.append(f"seed {seeds}" if len(self.seeds) == 1 else f"seeds {seeds}")
        return "; ".join([*parts, f"95 % bootstrap intervals over users, {self.resamples:,} samples"])


def _settings(value: object) -> tuple[bool, ...]:
    values = (value,) if isinstance(value, bool) else value
    if not isinstance(values, list | tuple) or not values or not all(isinstance(v, bool) for v in values):
        raise ConfigError(
            f"protocol: `exclude_seen` must be true, false or a list of both, got {shown(value)}"
        )
    return tuple(sorted(set(values), reverse=True))


def _check_cold(split: str, share: object, seed: object) -> None:
    if split != "cold_items":
        if share is not None or seed is not None:
            raise ConfigError(
                f"protocol: `cold_share` and `cold_seed` require the split `cold_items`, got {split!r}"
            )
        return
    if not isinstance(share, float) or not 0 < share < 1:
        raise ConfigError(f"protocol: `cold_share` must be a number between 0 and 1, got {shown(share)}")
    _check_integer("cold_seed", seed, 0)


def _check_integer(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"protocol: `{name}` must be an integer of at least {least}, got {shown(value)}")
