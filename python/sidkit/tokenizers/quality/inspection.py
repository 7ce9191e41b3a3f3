"""All that can be said of a tokenizer's codes, put together."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sidkit.tokenizers.quality.coherence import Coherence, prefix_coherence
from sidkit.tokenizers.quality.neighbours import NeighbourRecall, neighbour_recall
from sidkit.tokenizers.quality.purity import Purity, prefix_purity
from sidkit.tokenizers.quality.report import QualityReport, quality_report

if TYPE_CHECKING:
    from sidkit.tokenizers.base import Tokenizer

__all__ = ["Inspection", "inspect_codes"]


@dataclass(frozen=True)
class Inspection:
    """What `inspect_codes` found.

    Attributes:
        quality: of the tokenizer's own codes: levels and collisions.
        coherence: mean cosine of the pairs that share a prefix, for each length.
        neighbours: of items, found again by their codes; None where there is a single item.
        purity: of categories under prefixes, for each length; empty without categories.
    """

    quality: QualityReport
    coherence: tuple[Coherence, ...]
    neighbours: NeighbourRecall | None
    purity: tuple[Purity, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; the mean cosine of no pairs is None."""
        coherence = [asdict(each) for each in self.coherence]
        for each in coherence:
            each["cosine"] = None if math.isnan(each["cosine"]) else each["cosine"]
        return {
            "quality": self.quality.to_dict(),
            "coherence": coherence,
            "neighbours": None if self.neighbours is None else asdict(self.neighbours),
            "purity": [asdict(each) for each in self.purity],
        }


def inspect_codes(
    tokenizer: "Tokenizer",
    vectors: npt.ArrayLike,
    *,
    codes: npt.ArrayLike | None = None,
    categories: Sequence[Sequence[str]] | None = None,
    seed: int = 0,
) -> Inspection:
    """Measure a fitted tokenizer on vectors: use of its codes, collisions, and how prefixes follow content.

    Linear in the number of items, but for `neighbour_recall`, which asks a sample.

    Args:
        tokenizer: any fitted tokenizer.
        vectors: float (n, dim), none of them zero.
        codes: integers (n, levels): those in use, where a collision policy has changed some; the
            tokenizer's own if not given. The quality report is on the tokenizer's own in any case.
        categories: of each item, for `prefix_purity`.
        seed: of all draws.

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
