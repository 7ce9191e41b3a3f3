"""Quality report of a tokenizer: reconstruction error, codebook usage and collisions."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import checked
from sidkit.tokenizers.base import Tokenizer
from sidkit.tokenizers.parts.standardize import varies
from sidkit.tokenizers.quality.usage import (
    code_counts,
    entropy,
    gini,
    group_sizes,
    perplexity,
    random_unique_rate,
)

__all__ = ["LevelQuality", "QualityReport", "quality_report"]

_BLOCK = 4096


@dataclass(frozen=True)
class LevelQuality:
    """Quality of one level of a tokenizer on the vectors of a report.

    Attributes:
        codebook_size: number of codes.
        mse: squared error after this level, as a share of the variance of the vectors: each dimension is
            divided by its standard deviation, constant dimensions are left out. 1.0 is the error of the mean
            vector.
        perplexity: 2 to the entropy in bits of the codes: `codebook_size` for equally frequent codes, 1 if
            only one code is used.
        used: number of codes that occur.
        entropy: entropy of the codes in bits; at most log2 of `codebook_size`.
        gini: Gini coefficient of the items per code, unused codes included: 0 for equally frequent codes,
            near 1 if one code has all items.
    """

    codebook_size: int
    mse: float
    perplexity: float
    used: int
    entropy: float
    gini: float


@dataclass(frozen=True)
class QualityReport:
    """Quality of the codes of a tokenizer on given vectors.

    Attributes:
        method: method of the tokenizer.
        items: number of vectors.
        levels: one entry per level.
        unique_rate: distinct codes per item: 1.0 if no two items collide.
        collisions: number of items under one code -> number of such codes; `{1: n}` if no two items collide.
        random_unique_rate: expected `unique_rate` of codes drawn at random.
        notes: codebook collapses during training and the actions taken; empty without any.
    """

    method: str
    items: int
    levels: tuple[LevelQuality, ...]
    unique_rate: float
    collisions: dict[int, int]
    random_unique_rate: float
    notes: tuple[str, ...] = ()

    @property
    def largest_collision(self) -> int:
        """Number of items under the most frequent code."""
        return max(self.collisions, default=0)

    def to_dict(self) -> dict[str, Any]:
        """Return the report with JSON types only; keys of `collisions` are strings.

        `perplexity` and `mse` repeat the figures of the levels as plain lists, first level first.
        """
        flat = asdict(self) | {"largest_collision": self.largest_collision}
        flat["collisions"] = {str(size): count for size, count in self.collisions.items()}
        flat["notes"] = list(self.notes)
        flat["levels"] = [asdict(level) for level in self.levels]
        flat["perplexity"] = [level.perplexity for level in self.levels]
        flat["mse"] = [level.mse for level in self.levels]
        return flat

    def __str__(self) -> str:
        lines = [f"{self.method}, {self.items} items"]
        lines += ["level  codes   used  perplexity  entropy   gini  mse (of variance)"]
        lines += [
            f"{number:>5}  {one.codebook_size:>5}  {one.used:>5}  {one.perplexity:>10.1f}  "
            f"{one.entropy:>7.2f}  {one.gini:>5.3f}  {one.mse:>17.4f}"
            for number, one in enumerate(self.levels)
        ]
        lines.append(f"unique rate {self.unique_rate:.4f} (random codes: {self.random_unique_rate:.4f})")
        lines.append(f"largest collision {self.largest_collision} items")
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)


@checked
def quality_report(tokenizer: Tokenizer, x: npt.ArrayLike) -> QualityReport:
    """Measure a fitted tokenizer on vectors.

    Args:
        tokenizer: any fitted tokenizer.
        x: float (n, dim), n at least 1: the vectors of `fit`, or others.

    Raises:
        NotFittedError, DataError: as `tokenizer.encode(x)`.
    """
    codes = tokenizer.encode(x)
    vectors = np.asarray(x, dtype=np.float32)
    errors = _unexplained(tokenizer, vectors, codes)
    sizes = tokenizer.codebook_sizes
    levels = [
        LevelQuality(
            size,
            float(error),
            perplexity(counts),
            int(np.count_nonzero(counts)),
            entropy(counts),
            gini(counts),
        )
        for size, error, counts in zip(sizes, errors, code_counts(codes, sizes), strict=True)
    ]
    groups = group_sizes(codes)
    occupancies, counts = np.unique(groups, return_counts=True)
    return QualityReport(
        method=tokenizer.method,
        items=len(codes),
        levels=tuple(levels),
        unique_rate=len(groups) / max(1, len(codes)),
        collisions=dict(zip(occupancies.tolist(), counts.tolist(), strict=True)),
        random_unique_rate=random_unique_rate(len(codes), sizes),
        notes=tokenizer.notes,
    )


def _unexplained(
    tokenizer: Tokenizer, x: npt.NDArray[np.float32], codes: npt.NDArray[np.uint16]
) -> npt.NDArray[np.float64]:
    """Mean squared error after each level, float64 (levels,), in standard deviations, block by block."""
    deviation = x.std(axis=0, dtype=np.float64)
    informative = varies(np.abs(x).max(axis=0, initial=0), deviation)
    scale = np.where(informative, 1 / np.where(informative, deviation, 1), 0)
    totals: npt.NDArray[np.float64] = np.zeros(codes.shape[1])
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        for level in range(codes.shape[1]):
            error = (x[rows] - tokenizer.decode(codes[rows, : level + 1])) * scale
            totals[level] += np.einsum("ij,ij->", error, error)
    return totals / max(1, len(x) * int(np.count_nonzero(informative)))
