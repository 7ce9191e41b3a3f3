"""Representations of items side by side: the same model, the same budget, several seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from torch import nn

from sidkit import SidLayout
from sidkit._progress import Progress, silent
from sidkit.errors import ConfigError, FormatError
from sidkit.ranking.impressions import TimeSplit
from sidkit.ranking.metrics import auc, log_loss, user_auc
from sidkit.ranking.model import RankModel
from sidkit.ranking.representations import REPRESENTATIONS, item_vectors
from sidkit.ranking.training import fit_ranker, predict_ranker

__all__ = ["Comparison", "Result", "compare"]

# Two-sided 95 % points of Student's t for 2, 3, ... seeds.
T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Result:
    """One figure: `value` of `metric` on the `events` test events of a slice, for one seed."""

    representation: str
    seed: int
    slice: str
    metric: str
    value: float
    events: int


@dataclass(frozen=True)
class Comparison:
    """All figures of a comparison.

    Attributes:
        results: one for each representation, seed, slice and metric.
        settings: what they were made with; `seeds` must be there.
        parameters: parameters of each representation.
    """

    results: list[Result]
    settings: dict[str, Any]
    parameters: dict[str, int] = field(default_factory=dict)

    def summary(self, against: str = "random") -> pl.DataFrame:
        """Means over the seeds with 95 % intervals (Student's t), and paired differences.

        Args:
            against: the representation that `difference` is taken from, seed by seed.

        Returns:
            One row for each representation, slice and metric (`auc`, `user_auc`, `log_loss`): `events`,
            `mean`, `half_width` of its interval, `difference`, and `difference_half_width`. A slice with
            events of one label only has no AUC, which is NaN.
        """
        frame = pl.DataFrame([asdict(result) for result in self.results])
        keys = ["slice", "metric", "seed"]
        base = frame.filter(pl.col("representation") == against).select(*keys, base="value")
        paired = frame.join(base, on=keys, how="left").with_columns(apart=pl.col("value") - pl.col("base"))
        seeds = len(self.settings["seeds"])
        wide = T_95[seeds - 2] / seeds**0.5 if seeds > 1 else float("nan")
        return paired.group_by("representation", "slice", "metric", maintain_order=True).agg(
            events=pl.col("events").first(),
            mean=pl.col("value").mean(),
            half_width=pl.col("value").std() * wide,
            difference=pl.col("apart").mean(),
            difference_half_width=pl.col("apart").std() * wide,
        )

    def renamed(self, old: str, new: str) -> Comparison:
        """The same, with another name for one representation."""
        results = [
            replace(each, representation=new) if each.representation == old else each for each in self.results
        ]
        parameters = {new if name == old else name: count for name, count in self.parameters.items()}
        return replace(self, results=results, parameters=parameters)

    def joined(self, other: Comparison) -> Comparison:
        """The figures of both, under the settings of this one; they must be of the same events and seeds.

        Raises:
            ConfigError: if a representation is in both, or the settings differ in more than the sizes.
        """
        differ = {
            key
            for key in self.settings.keys() | other.settings.keys()
            if key != "sizes" and self.settings.get(key) != other.settings.get(key)
        }
        both = self.parameters.keys() & other.parameters.keys()
        if differ or both:
            raise ConfigError(
                "comparisons that are joined must have the same settings and different representations; "
                f"settings that differ: {sorted(differ)}; representations in both: {sorted(both)}"
            )
        return replace(
            self, results=self.results + other.results, parameters=self.parameters | other.parameters
        )

    def to_json(self) -> str:
        """Everything as JSON text, which `from_json` reads."""
        stored = {"settings": self.settings, "parameters": self.parameters}
        # JSON has no NaN; what cannot be measured is null.
        figures = [
            asdict(each) | {"value": None if each.value != each.value else round(each.value, 6)}
            for each in self.results
        ]
        return json.dumps({**stored, "results": figures}).replace('{"representation"', '\n{"representation"')

    @classmethod
    def from_json(cls, text: str) -> Comparison:
        """What `to_json` wrote.

        Raises:
            FormatError: if the text is not that of a comparison.
        """
        try:
            stored = json.loads(text)
            results = [
                Result(**each | {"value": float("nan") if each["value"] is None else float(each["value"])})
                for each in stored["results"]
            ]
            return cls(results, dict(stored["settings"]), dict(stored["parameters"]))
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"this is not the JSON of a comparison of representations: {error}") from error


def compare(
    split: TimeSplit,
    *,
    users: int,
    item_ids: pl.Series,
    vectors: npt.NDArray[np.float32],
    codes: npt.NDArray[np.uint16],
    layout: SidLayout,
    representations: Sequence[str] = REPRESENTATIONS,
    rows: int = 2048,
    dim: int = 16,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    epochs: int = 8,
    batch_size: int = 1024,
    progress: Progress = silent,
) -> Comparison:
    """Train the same model with each representation, and measure it on the test period.

    Args:
        split: the events.
        users: how many users there are.
        item_ids: the users' ids of the items.
        vectors: float32 (items, content dim).
        codes: uint16 (items, levels); the tokenizer should know no item that training does not.
        layout: the layout of the codes.
        representations: which to compare, see `item_vectors`.
        rows: the budget of each, in rows of `dim` parameters.
        dim: length of the vectors.
        seeds: one training each; a seed sets the first parameters, the order of events and the hash.
        epochs: at most; the best one on the validation events counts.
        batch_size: events a step.
        progress: told after each training.

    Raises:
        ConfigError: if a setting makes no sense, or there is no such representation.
    """
    if not 1 <= len(set(seeds)) == len(seeds) <= len(T_95) + 1:
        raise ConfigError(f"seeds must be 1 to {len(T_95) + 1} different numbers; got {list(seeds)}")
    slices = _slices(split)
    results: list[Result] = []
    parameters: dict[str, int] = {}

    def made(name: str, seed: int) -> nn.Module:
        return item_vectors(
            name,
            item_ids=item_ids,
            vectors=vectors,
            codes=codes,
            layout=layout,
            known=split.train_counts > 0,
            rows=rows,
            dim=dim,
            seed=seed,
        )

    trainings = [(name, seed) for name in representations for seed in seeds]
    for name in representations:  # a name that is wrong is said before the first training
        made(name, seeds[0])
    for done, (name, seed) in enumerate(trainings):
        items = made(name, seed)
        parameters[name] = sum(parameter.numel() for parameter in items.parameters())
        model = RankModel(items, users, dim)
        fit_ranker(model, split.train, split.valid, epochs=epochs, batch_size=batch_size, seed=seed)
        chances = predict_ranker(model, split.test)
        for part, mask in slices.items():
            labels, given = split.test.labels[mask], chances[mask]
            figures = {
                "auc": auc(labels, given),
                "user_auc": user_auc(labels, given, split.test.users[mask]),
                "log_loss": log_loss(labels, given),
            }
            results += [Result(name, seed, part, key, value, len(given)) for key, value in figures.items()]
        progress(done + 1, len(trainings))
    settings: dict[str, Any] = {"items": len(item_ids), "rows": rows, "dim": dim}
    settings |= {"seeds": list(seeds), "epochs": epochs, "sizes": list(layout.sizes)}
    settings |= {
        "batch_size": batch_size,
        "train": len(split.train),
        "valid": len(split.valid),
        "test": len(split.test),
    }
    settings |= {"test_begins": split.test_begins}
    return Comparison(results, settings, parameters)


def _slices(split: TimeSplit) -> dict[str, npt.NDArray[np.bool_]]:
    """The parts of the test events, by name; empty ones are left out.

    Decile 1 holds the tenth of the items met in training that were met least, decile 10 the most popular.
    """
    items = split.test.items
    parts = {"all": np.ones(len(items), dtype=bool), "new items": split.new_items[items]}
    met = np.flatnonzero(split.train_counts)
    deciles = np.zeros(len(split.train_counts), dtype=np.int64)
    by_count = met[np.argsort(split.train_counts[met], kind="stable")]
    deciles[by_count] = 1 + np.arange(len(met)) * 10 // max(1, len(met))
    parts |= {f"decile {decile}": deciles[items] == decile for decile in range(1, 11)}
    return {name: mask for name, mask in parts.items() if mask.any()}
