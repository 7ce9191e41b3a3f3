"""Comparison of item representations: the same ranking model and budget, several seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import Seed, checked
from sidkit._progress import Progress, silent
from sidkit.errors import ConfigError, FormatError
from sidkit.ranking.impressions import TimeSplit
from sidkit.ranking.items import RankedItems
from sidkit.ranking.metrics import auc, log_loss, user_auc
from sidkit.ranking.model import RankModel
from sidkit.ranking.representations import REPRESENTATIONS, item_vectors
from sidkit.ranking.settings import RankSettings
from sidkit.ranking.training import fit_ranker, predict_ranker

__all__ = ["Comparison", "Result", "compare"]

# Two-sided 95 % quantiles of Student's t for 2, 3, ..., 10 seeds.
T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Result:
    """The `value` of `metric` on the `events` test events of a slice, for one seed."""

    representation: str
    seed: Seed
    slice: str
    metric: str
    value: float
    events: int


@dataclass(frozen=True)
class Comparison:
    """All figures of a comparison.

    Attributes:
        results: one for each representation, seed, slice and metric.
        settings: settings of the comparison, among them `seeds`.
        parameters: the number of parameters of each representation.
    """

    results: list[Result]
    settings: dict[str, Any]
    parameters: dict[str, int] = field(default_factory=dict)

    @checked
    def summary(self, against: str = "random") -> pl.DataFrame:
        """Average over the seeds, with 95 % intervals (Student's t) and paired differences.

        Args:
            against: the baseline of `difference`, which is paired by seed.

        Returns:
            One row for each representation, slice and metric (`auc`, `user_auc`, `log_loss`): `events`,
            `mean`, `half_width` of its interval, `difference`, and `difference_half_width`. AUC is NaN for a
            slice whose events have one label only.
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

    @checked
    def renamed(self, old: str, new: str) -> Comparison:
        """Return the same comparison with another name for one representation."""
        results = [
            replace(each, representation=new) if each.representation == old else each for each in self.results
        ]
        parameters = {new if name == old else name: count for name, count in self.parameters.items()}
        return replace(self, results=results, parameters=parameters)

    @checked
    def combined(self, other: Comparison) -> Comparison:
        """Combine two comparisons on the same events and seeds; the settings are those of this one.

        Raises:
            ConfigError: if a representation is in both, or the settings differ in more than codebook sizes.
        """
        differ = {
            key
            for key in self.settings.keys() | other.settings.keys()
            if key != "codebook_sizes" and self.settings.get(key) != other.settings.get(key)
        }
        both = self.parameters.keys() & other.parameters.keys()
        if differ or both:
            raise ConfigError(
                "comparisons cannot be combined: expected equal settings and different representations, "
                f"got settings that differ: {sorted(differ)}; representations in both: {sorted(both)}"
            )
        return replace(
            self, results=self.results + other.results, parameters=self.parameters | other.parameters
        )

    def to_json(self) -> str:
        """Return JSON text for `from_json`."""
        stored = {"settings": self.settings, "parameters": self.parameters}
        # JSON has no NaN: undefined metrics are null.
        figures = [
            asdict(each) | {"value": None if each.value != each.value else round(each.value, 6)}
            for each in self.results
        ]
        return json.dumps({**stored, "results": figures}).replace('{"representation"', '\n{"representation"')

    @classmethod
    @checked
    def from_json(cls, text: str) -> Comparison:
        """Build a comparison from the output of `to_json`.

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
            raise FormatError(
                f"not the JSON of a comparison of representations: {error}. Run `sidkit rank` again"
            ) from error


@checked
def compare(
    split: TimeSplit,
    items: RankedItems,
    *,
    representations: Sequence[str] = REPRESENTATIONS,
    settings: RankSettings | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Train the same ranking model with each representation, and measure it on the test period.

    Args:
        split: the events.
        items: the catalogue; its tokenizer should be fitted to items of the training period only.
        representations: which to compare, see `item_vectors`.
        settings: budget and training; the defaults of `RankSettings` if None.
        progress: called after each training.

    Raises:
        ConfigError: if a setting is invalid, a representation is unknown, or Semantic IDs are missing.
    """
    settings = settings or RankSettings()
    slices = _slices(split)
    results: list[Result] = []
    parameters: dict[str, int] = {}
    known = split.train_counts > 0
    for name in representations:  # an unknown name is an error before the first training
        item_vectors(name, items, known=known, settings=settings, seed=settings.seeds[0])
    trainings = [(name, seed) for name in representations for seed in settings.seeds]
    for done, (name, seed) in enumerate(trainings):
        vectors = item_vectors(name, items, known=known, settings=settings, seed=seed)
        parameters[name] = sum(parameter.numel() for parameter in vectors.parameters())
        model = RankModel(vectors, split.users, settings.dim)
        fit_ranker(
            model,
            split.train,
            split.validation,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            seed=seed,
        )
        probabilities = predict_ranker(model, split.test)
        for part, mask in slices.items():
            labels, given = split.test.labels[mask], probabilities[mask]
            figures = {
                "auc": auc(labels, given),
                "user_auc": user_auc(labels, given, split.test.users[mask]),
                "log_loss": log_loss(labels, given),
            }
            results += [Result(name, seed, part, key, value, len(given)) for key, value in figures.items()]
        progress(done + 1, len(trainings))
    return Comparison(results, _recorded(split, items, settings), parameters)


def _recorded(split: TimeSplit, items: RankedItems, settings: RankSettings) -> dict[str, Any]:
    return {
        "items": len(items),
        "num_embeddings": settings.num_embeddings,
        "dim": settings.dim,
        "seeds": list(settings.seeds),
        "epochs": settings.epochs,
        "codebook_sizes": [] if items.layout is None else list(items.layout.sizes),
        "batch_size": settings.batch_size,
        "train": len(split.train),
        "validation": len(split.validation),
        "test": len(split.test),
        "test_begins": split.test_begins,
    }


def _slices(split: TimeSplit) -> dict[str, npt.NDArray[np.bool_]]:
    """Build masks of the test events by name; empty slices are omitted.

    Decile 1 holds the training items with the fewest training events, decile 10 the most popular items.
    """
    items = split.test.items
    parts = {"all": np.ones(len(items), dtype=bool), "new items": split.new_items[items]}
    met = np.flatnonzero(split.train_counts)
    deciles = np.zeros(len(split.train_counts), dtype=np.int64)
    by_count = met[np.argsort(split.train_counts[met], kind="stable")]
    deciles[by_count] = 1 + np.arange(len(met)) * 10 // max(1, len(met))
    parts |= {f"decile {decile}": deciles[items] == decile for decile in range(1, 11)}
    return {name: mask for name, mask in parts.items() if mask.any()}
