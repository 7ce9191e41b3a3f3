"""Retraining experiment: Semantic IDs of tokenizers fitted to older and newer items in a ranking model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Count, check_argument, checked
from sidkit._core import SidLayout
from sidkit._progress import Progress, silent
from sidkit.errors import DataError
from sidkit.ids.drift import drift
from sidkit.ranking import (
    Comparison,
    Impressions,
    RankedItems,
    RankSettings,
    Retraining,
    TimeSplit,
    compare,
)
from sidkit.tokenizers import Tokenizer

__all__ = ["halves_by_appearance", "retrain"]

Mask = npt.NDArray[np.bool_]


@checked
def halves_by_appearance(events: Impressions, items: Count) -> tuple[Mask, Mask]:
    """Split the items of these events into those that appeared earlier and those that appeared later.

    Args:
        events: oldest first.
        items: number of items of the catalogue.

    Returns:
        Two masks, bool (items,), of equally many items, up to one. Ties are broken by the order of events.
    """
    if len(events.items) and not 0 <= events.items.min() <= events.items.max() < items:
        raise DataError(
            f"an event has an item outside the catalogue: expected rows in 0..{items - 1}, got "
            f"{events.items.min()}..{events.items.max()}."
        )
    met, first = np.unique(events.items, return_index=True)
    by_appearance = met[np.argsort(first, kind="stable")]
    earlier, later = np.zeros((2, items), dtype=bool)
    earlier[by_appearance[: len(met) // 2]] = True
    later[by_appearance[len(met) // 2 :]] = True
    return earlier, later


@checked
def retrain(
    split: TimeSplit,
    tokenizer: Callable[[int], Tokenizer],
    *,
    items: RankedItems,
    representation: str = "all",
    settings: RankSettings | None = None,
    progress: Progress = silent,
) -> Retraining:
    """Compare tokenizers fitted to the earlier and the later half of the items, by first appearance.

    This is the stability experiment of arXiv 2306.08121, with two additions: the drift of the Semantic IDs,
    and the drift between two seeds. Tokenizers are fitted to items of the training period only.

    Args:
        split: the events.
        tokenizer: returns an unfitted tokenizer for a seed.
        items: the catalogue with content vectors.
        representation: a kind of n-gram of `sidkit.ids.ngram_windows`, or `pieces`.
        settings: budget and training of the ranking model; by default 1,024 embeddings and 5 seeds.
        progress: called after each of the four comparisons.

    Raises:
        ConfigError: if a setting is invalid, or `tokenizer` returns something else.
        DataError: if half of the items are too few for the tokenizer.
    """
    settings = settings or RankSettings(num_embeddings=1024)
    vectors = items.vectors
    earlier, later = halves_by_appearance(split.train, len(items))
    parts = {"earlier": earlier, "later": later, "whole": earlier | later}

    def made(seed: int) -> Tokenizer:
        return check_argument(f"tokenizer({seed})", tokenizer(seed), Tokenizer)  # type: ignore[no-any-return]

    fitted = {name: made(0).fit(vectors[mask]) for name, mask in parts.items()}
    tokens = {name: each.encode(vectors) for name, each in fitted.items()}
    sizes = {each.codebook_sizes for each in fitted.values()}
    if len(sizes) > 1:
        raise DataError(f"tokenizers cannot be compared: expected equal codebook sizes, got {sorted(sizes)}")
    again = made(1).fit(vectors[parts["whole"]]).encode(vectors)

    def measure(name: str, codes: npt.NDArray[np.uint16]) -> Comparison:
        shaped = items.with_codes(codes, SidLayout(fitted["whole"].codebook_sizes))
        return compare(split, shaped, representations=[name], settings=settings)

    comparison = measure("random", tokens["whole"])
    for done, (name, codes) in enumerate(tokens.items(), start=1):
        progress(done, len(tokens) + 1)
        comparison = comparison.combined(measure(representation, codes).renamed(representation, name))
    progress(len(tokens) + 1, len(tokens) + 1)
    return Retraining(
        trained_on={name: int(mask.sum()) for name, mask in parts.items()},
        moved=drift(tokens["earlier"], tokens["later"]),
        moved_by_seed=drift(tokens["whole"], again),
        comparison=comparison,
    )
