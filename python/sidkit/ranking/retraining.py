"""Results of the retraining experiment: Semantic IDs of tokenizers fitted to older and newer items."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import polars as pl

from sidkit._arguments import checked
from sidkit.errors import FormatError
from sidkit.ids.drift import Drift
from sidkit.ranking.compare import Comparison

__all__ = ["Retraining"]

# Long prefixes are nearly as many as items, so their remap tables are not informative.
STORED_PREFIXES = 64


@dataclass(frozen=True)
class Retraining:
    """Drift and ranking quality for tokenizers fitted to different parts of one catalogue.

    Attributes:
        trained_on: the number of items that each tokenizer was fitted to: `earlier`, `later`, `whole`.
        moved: drift of all items from the earlier tokenizer to the later one.
        moved_by_seed: drift between two tokenizers of the whole catalogue that differ only in their seeds:
            the part of any drift that is due to random initialization.
        comparison: the ranking model with the Semantic IDs of each tokenizer, and with `random`.
    """

    trained_on: dict[str, int]
    moved: list[Drift]
    moved_by_seed: list[Drift]
    comparison: Comparison

    def to_json(self) -> str:
        """Return JSON text for `from_json`, with the largest prefixes of each remap table only."""
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
    @checked
    def from_json(cls, text: str) -> Retraining:
        """Build a result from the output of `to_json`.

        Raises:
            FormatError: if the text is not that of a retraining experiment.
        """
        try:
            stored = json.loads(text)
            moved, by_seed = ([_read(each) for each in stored[key]] for key in ("moved", "moved_by_seed"))
            comparison = Comparison.from_json(json.dumps(stored["comparison"]))
            return cls(dict(stored["trained_on"]), moved, by_seed, comparison)
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(
                f"not the JSON of a retraining experiment: {error}. Run `sidkit drift` again"
            ) from error


def _stored(found: Drift) -> dict[str, Any]:
    figures = {name: getattr(found, name) for name in ("depth", "agreement", "remapped", "information")}
    return figures | {"remap": found.remap.head(STORED_PREFIXES).to_dict(as_series=False)}


def _read(stored: dict[str, Any]) -> Drift:
    return Drift(**stored | {"remap": pl.DataFrame(stored["remap"])})
