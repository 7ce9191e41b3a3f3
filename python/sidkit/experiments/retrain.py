"""What happens to a ranking model when its Semantic IDs come from an older or a newer tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit import SidLayout
from sidkit._progress import Progress, silent
from sidkit.errors import DataError, FormatError
from sidkit.ids.drift import Drift, drift
from sidkit.ranking.compare import Comparison, compare
from sidkit.ranking.impressions import Impressions, TimeSplit
from sidkit.tokenizers import Tokenizer

__all__ = ["Retraining", "halves_by_appearance", "retrain"]

# Long prefixes are nearly as many as items, and say nothing one by one.
STORED_PREFIXES = 64

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Retraining:
    """Semantic IDs of tokenizers trained on different parts of one catalogue.

    Attributes:
        trained_on: how many items each tokenizer learned from: `earlier`, `later`, `whole`.
        moved: drift of all items from the earlier tokenizer to the later one.
        moved_by_seed: the same between two tokenizers of the whole that differ in their seeds alone: how
            much of any drift is the arbitrariness of clustering.
        comparison: the ranking model with the Semantic IDs of each, beside `random`.
    """

    trained_on: dict[str, int]
    moved: list[Drift]
    moved_by_seed: list[Drift]
    comparison: Comparison

    def to_json(self) -> str:
        """JSON text, which `from_json` reads; of each remap table the fullest prefixes only."""
        stored = {
            "trained_on": self.trained_on,
            "moved": [_stored(each) for each in self.moved],
            "moved_by_seed": [_stored(each) for each in self.moved_by_seed],
            "comparison": json.loads(self.comparison.to_json()),
        }
        return (
            json.dumps(stored)
            .replace('{"depth"', '\n{"depth"')
            .replace('{"representation"', '\n{"representation"')
        )

    @classmethod
    def from_json(cls, text: str) -> Retraining:
        """What `to_json` wrote.

        Raises:
            FormatError: if the text is not that of a retraining.
        """
        try:
            stored = json.loads(text)
            moved, by_seed = ([_read(each) for each in stored[key]] for key in ("moved", "moved_by_seed"))
            comparison = Comparison.from_json(json.dumps(stored["comparison"]))
            return cls(dict(stored["trained_on"]), moved, by_seed, comparison)
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"this is not the JSON of a retraining: {error}") from error


def halves_by_appearance(events: Impressions, items: int) -> tuple[Mask, Mask]:
    """Split the items met in these events into those that appeared earlier and those that appeared later.

    Args:
        events: oldest first.
        items: how many items the catalogue has.

    Returns:
        Two masks, bool (items,), of equally many items, up to one. Items of one moment are taken in the order
        of the events.
    """
    met, first = np.unique(events.items, return_index=True)
    by_appearance = met[np.argsort(first, kind="stable")]
    earlier, later = np.zeros((2, items), dtype=bool)
    earlier[by_appearance[: len(met) // 2]] = True
    later[by_appearance[len(met) // 2 :]] = True
    return earlier, later


def retrain(
    split: TimeSplit,
    tokenizer: Callable[[int], Tokenizer],
    *,
    users: int,
    item_ids: pl.Series,
    vectors: npt.NDArray[np.float32],
    representation: str = "all",
    rows: int = 1024,
    dim: int = 16,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    epochs: int = 8,
    batch_size: int = 1024,
    progress: Progress = silent,
) -> Retraining:
    """Compare tokenizers trained on the earlier and the later half of the items, by first appearance.

    This is the stability experiment of arXiv 2306.08121, with two additions: the drift itself, and how much
    of it another seed alone would bring. Only items met in training are learned from, by any tokenizer.

    Args:
        split: the events.
        tokenizer: gives a tokenizer to be fitted, for a seed.
        users: how many users there are.
        item_ids: the users' ids of the items.
        vectors: float32 (items, content dim).
        representation: a kind of n-gram, as `sidkit.ngram_windows` names them, or `pieces`.
        rows: the budget, in rows of `dim` parameters.
        dim: length of the vectors.
        seeds: one training of the ranking model each.
        epochs: at most.
        batch_size: events a step.
        progress: told after each of the four comparisons.

    Raises:
        ConfigError: if a setting makes no sense.
        DataError: if half of the items are too few for the tokenizer.
    """
    earlier, later = halves_by_appearance(split.train, len(item_ids))
    parts = {"earlier": earlier, "later": later, "whole": earlier | later}
    fitted = {name: tokenizer(0).fit(vectors[mask]) for name, mask in parts.items()}
    tokens = {name: each.encode(vectors) for name, each in fitted.items()}
    if len({each.codebook_sizes for each in fitted.values()}) > 1:
        raise DataError("every tokenizer must have the same sizes, or their Semantic IDs cannot be compared")
    again = tokenizer(1).fit(vectors[parts["whole"]]).encode(vectors)

    def measure(name: str, codes: npt.NDArray[np.uint16]) -> Comparison:
        return compare(
            split,
            users=users,
            item_ids=item_ids,
            vectors=vectors,
            codes=codes,
            layout=SidLayout(fitted["whole"].codebook_sizes),
            representations=[name],
            rows=rows,
            dim=dim,
            seeds=seeds,
            epochs=epochs,
            batch_size=batch_size,
        )

    comparison = measure("random", tokens["whole"])
    for done, (name, codes) in enumerate(tokens.items(), start=1):
        progress(done, len(tokens) + 1)
        comparison = comparison.joined(measure(representation, codes).renamed(representation, name))
    progress(len(tokens) + 1, len(tokens) + 1)
    return Retraining(
        trained_on={name: int(mask.sum()) for name, mask in parts.items()},
        moved=drift(tokens["earlier"], tokens["later"]),
        moved_by_seed=drift(tokens["whole"], again),
        comparison=comparison,
    )


def _stored(found: Drift) -> dict[str, Any]:
    figures = {name: getattr(found, name) for name in ("depth", "agreement", "remapped", "information")}
    return figures | {"remap": found.remap.head(STORED_PREFIXES).to_dict(as_series=False)}


def _read(stored: dict[str, Any]) -> Drift:
    return Drift(**stored | {"remap": pl.DataFrame(stored["remap"])})
