"""Inspection of a tokenizer: all quality measures at once."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Bounds, Seed, Shape, checked
from sidkit.tokenizers.base import Tokenizer
from sidkit.tokenizers.quality.coherence import Coherence, prefix_coherence
from sidkit.tokenizers.quality.neighbours import NeighbourRecall, neighbour_recall
from sidkit.tokenizers.quality.purity import Purity, prefix_purity
from sidkit.tokenizers.quality.report import QualityReport, quality_report

__all__ = ["Inspection", "inspect_codes"]


@dataclass(frozen=True)
class Inspection:
    """Result of `inspect_codes`.

    Attributes:
        quality: levels and collisions of the tokenizer's own codes.
        coherence: mean cosine of the pairs that share a prefix, for each length.
        neighbours: recall of nearest neighbours by codes; None for a single item.
        purity: category purity under prefixes, for each length; empty without categories.
    """

    quality: QualityReport
    coherence: tuple[Coherence, ...]
    neighbours: NeighbourRecall | None
    purity: tuple[Purity, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result with JSON types only; the mean cosine without pairs is None."""
        coherence = [asdict(each) for each in self.coherence]
        for each in coherence:
            each["cosine"] = None if math.isnan(each["cosine"]) else each["cosine"]
        return {
            "quality": self.quality.to_dict(),
            "coherence": coherence,
            "neighbours": None if self.neighbours is None else asdict(self.neighbours),
            "purity": [asdict(each) for each in self.purity],
        }


@checked
def inspect_codes(
    tokenizer: Tokenizer,
    vectors: Annotated[npt.ArrayLike, Shape("items", "dim")],
    *,
    codes: Annotated[npt.NDArray[np.integer[Any]], Shape("items", "levels"), Bounds(ge=0)] | None = None,
    categories: Sequence[Sequence[str]] | None = None,
    seed: Seed = 0,
) -> Inspection:
    """Measure a fitted tokenizer: codebook usage, collisions, and similarity of items under prefixes.

    The time is linear in the number of items; `neighbour_recall` uses a sample.

    Args:
        tokenizer: any fitted tokenizer.
        vectors: float (n, dim), none of them zero.
        codes: integers (n, levels): codes in use, if a collision policy has changed some; by default the
            tokenizer's own. The quality report always measures the tokenizer's own codes.
        categories: categories of each item, for `prefix_purity`.
        seed: seed of all samples.

    Raises:
        NotFittedError, DataError: as `tokenizer.encode`, `prefix_coherence`, `prefix_purity`.
    """
    used = tokenizer.encode(vectors) if codes is None else np.asarray(codes)
    return Inspection(
        quality=quality_report(tokenizer, vectors),
        coherence=tuple(prefix_coherence(vectors, used)),
        neighbours=neighbour_recall(tokenizer, vectors, used, seed=seed) if len(used) > 1 else None,
        purity=tuple(prefix_purity(used, categories, seed=seed)) if categories is not None else (),
    )
