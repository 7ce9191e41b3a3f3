"""The rules under which a number was measured, kept beside the number."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sidkit.errors import ConfigError

__all__ = ["Protocol"]

_CHOICES = {
    "split": ("leave_last_out", "global_time"),
    "ties": ("source", "shuffle"),
    "collisions": ("suffix", "reassign", "share"),
    "reassign": ("first", "nearest", "sinkhorn"),
    "part": ("test", "valid"),
}


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a number was measured; two numbers compare only if these agree.

    Attributes:
        split: `leave_last_out` or `global_time`.
        ties: the order of a user's events with equal times: `source`, as in the file, or `shuffle`.
        tie_seed: of the shuffle; 0 with `source`.
        exclude_seen: whether items of the user's own history were kept out of the lists.
        collisions: how items with equal codes are told apart; None where no Semantic IDs took part.
        reassign: who keeps a code under the policy `reassign`; `first` under any other.
        candidates: the number of items ranked, always the whole catalogue.
        beam: the width of the beam; None where every item was scored.
        seeds: of the trainings.
        users: the number of users measured.
        part: `test`, or `valid` while choices are still made.
        dataset: the name of the dataset.
        resamples: bootstrap samples behind each interval.

    Raises:
        ConfigError: if a value is not one of those above.
    """

    split: Literal["leave_last_out", "global_time"] = "leave_last_out"
    ties: Literal["source", "shuffle"] = "source"
    tie_seed: int = 0
    exclude_seen: bool = False
    collisions: Literal["suffix", "reassign", "share"] | None = None
    reassign: Literal["first", "nearest", "sinkhorn"] = "first"
    candidates: int
    beam: int | None = None
    seeds: tuple[int, ...] = (0,)
    users: int
    part: Literal["test", "valid"] = "test"
    dataset: str = ""
    resamples: int = 1000

    def __post_init__(self) -> None:
        """Check every value."""
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices and not (name == "collisions" and value is None):
                raise ConfigError(f"protocol: `{name}` must be one of {', '.join(choices)}, got {value!r}")
        if self.reassign != "first" and self.collisions != "reassign":
            raise ConfigError(
                f"protocol: `reassign` {self.reassign!r} needs the policy `reassign`, got {self.collisions!r}"
            )
        object.__setattr__(self, "seeds", tuple(self.seeds))
        for name, least in (("candidates", 1), ("users", 1), ("resamples", 2), ("tie_seed", 0)):
            _check_integer(name, getattr(self, name), least)
        if self.beam is not None:
            _check_integer("beam", self.beam, 1)
        for seed in self.seeds:
            _check_integer("seeds", seed, 0)
        if not isinstance(self.exclude_seen, bool) or not isinstance(self.dataset, str):
            raise ConfigError("protocol: `exclude_seen` must be true or false and `dataset` a name")

    def as_dict(self) -> dict[str, Any]:
        """Give the protocol as `metrics.json` holds it; `reassign` only where it is not `first`."""
        values = dataclasses.asdict(self) | {"seeds": list(self.seeds)}
        if self.reassign == "first":
            del values["reassign"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Protocol:
        """Read what `as_dict` gave.

        Raises:
            ConfigError: if a key is unknown or missing, or a value is out of range.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        unknown, missing = sorted(set(values) - names), sorted({"candidates", "users"} - set(values))
        if unknown or missing:
            raise ConfigError(f"protocol: unknown keys {unknown}, missing keys {missing}")
        if not isinstance(values.get("seeds", []), list | tuple):
            raise ConfigError(f"protocol: `seeds` must be a list, got {values['seeds']!r}")
        return cls(**values)

    def joined(self, other: Protocol) -> Protocol:
        """Give the protocol of two sets of results kept in one file.

        Seeds are united; `beam` and `collisions`, and with these `reassign`, may be missing on one side, as
        for a model without Semantic IDs.

        Raises:
            ConfigError: if the two differ in anything else.
        """
        merged = dataclasses.asdict(self)
        for name, theirs in dataclasses.asdict(other).items():
            ours = merged[name]
            if name == "seeds":
                merged[name] = tuple(sorted({*ours, *theirs}))
            elif name in ("beam", "collisions") and None in (ours, theirs):
                merged[name] = theirs if ours is None else ours
            elif name == "reassign" and None in (self.collisions, other.collisions):
                merged[name] = ours if other.collisions is None else theirs
            elif ours != theirs:
                raise ConfigError(
                    f"results under different protocols do not go into one file: `{name}` is {ours!r} and "
                    f"{theirs!r}; evaluate both under the same setting"
                )
        return Protocol(**merged)

    def sentence(self) -> str:
        """Say the protocol in one line, as a caption of a table."""
        ties = "as in the source" if self.ties == "source" else f"shuffled with seed {self.tie_seed}"
        seen = "seen items masked" if self.exclude_seen else "nothing masked"
        parts = [
            f"{self.dataset}, {self.part} part" if self.dataset else f"{self.part} part",
            f"{self.split.replace('_', '-')} split",
            f"equal times {ties}",
            seen,
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


def _check_integer(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"protocol: `{name}` must be an integer of at least {least}, got {value!r}")
