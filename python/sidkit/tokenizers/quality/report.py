"""How good codes are: what they lose, how evenly they are used, how often they collide."""

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sidkit.errors import ConfigError
from sidkit.tokenizers.parts.standardize import varies

if TYPE_CHECKING:
    from sidkit.tokenizers.base import Tokenizer

__all__ = [
    "CodebookCollapseWarning",
    "LevelQuality",
    "QualityReport",
    "entropy",
    "gini",
    "perplexity",
    "quality_report",
    "random_unique_rate",
]

#: A level whose perplexity is below this part of its codes has collapsed.
COLLAPSED = 0.1

_BLOCK = 4096


class CodebookCollapseWarning(UserWarning):
    """A level uses so few of its codes that they hardly tell items apart."""


@dataclass(frozen=True)
class LevelQuality:
    """One level of a tokenizer, on the vectors of a report.

    Attributes:
        size: number of codes.
        mse: what this level and those before it leave unexplained, as a part of the variance of the vectors:
            each dimension divided by its standard deviation, constant ones left out. 1.0 is as bad as the
            mean vector.
        perplexity: 2 to the entropy in bits of the codes: `size` if all are equally frequent, 1 if only one
            is used.
        used: number of codes that occur.
        entropy: of the codes, in bits; at most log2 of `size`.
        gini: of the items per code, unused codes counting: 0 if all are equally frequent, near 1 if one
            takes everything.
    """

    size: int
    mse: float
    perplexity: float
    used: int
    entropy: float
    gini: float


@dataclass(frozen=True)
class QualityReport:
    """Codes of a tokenizer on given vectors.

    Attributes:
        method: of the tokenizer.
        items: number of vectors.
        levels: one entry a level.
        unique_rate: distinct codes per item: 1.0 if no two items collide.
        collisions: number of items under one code -> number of such codes; `{1: n}` if no two items collide.
        random_unique_rate: what `unique_rate` would be if every item drew its code at random.
        notes: what the training noticed and did about codebooks that collapsed; empty if all was well.
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
        """Number of items under the fullest code."""
        return max(self.collisions, default=0)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it; `collisions` has its keys as strings.

        `perplexity` and `mse` repeat those of the levels as plain lists, first level first.
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
            f"{number:>5}  {one.size:>5}  {one.used:>5}  {one.perplexity:>10.1f}  "
            f"{one.entropy:>7.2f}  {one.gini:>5.3f}  {one.mse:>17.4f}"
            for number, one in enumerate(self.levels)
        ]
        lines.append(f"unique rate {self.unique_rate:.4f} (random codes: {self.random_unique_rate:.4f})")
        lines.append(f"largest collision {self.largest_collision} items")
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)


def quality_report(tokenizer: "Tokenizer", x: npt.ArrayLike) -> QualityReport:
    """Measure a fitted tokenizer on vectors.

    Args:
        tokenizer: any fitted tokenizer.
        x: float (n, dim), n at least 1: those it was fitted on, or others.

    Raises:
        NotFittedError, DataError: as `tokenizer.encode(x)`.
    """
    codes = tokenizer.encode(x)
    vectors = np.asarray(x, dtype=np.float32)
    errors = _unexplained(tokenizer, vectors, codes)
    levels = [
        LevelQuality(
            size,
            float(error),
            perplexity(counts),
            int(np.count_nonzero(counts)),
            entropy(counts),
            gini(counts),
        )
        for size, error, counts in zip(
            tokenizer.codebook_sizes, errors, _counts(codes, tokenizer.codebook_sizes), strict=True
        )
    ]
    groups = _group_sizes(codes)
    sizes, counts = np.unique(groups, return_counts=True)
    return QualityReport(
        method=tokenizer.method,
        items=len(codes),
        levels=tuple(levels),
        unique_rate=len(groups) / max(1, len(codes)),
        collisions=dict(zip(sizes.tolist(), counts.tolist(), strict=True)),
        random_unique_rate=random_unique_rate(len(codes), tokenizer.codebook_sizes),
        notes=tokenizer.notes,
    )


def perplexity(counts: npt.NDArray[np.integer]) -> float:
    """2 to the entropy, in bits, of a histogram; 0.0 of an empty one."""
    return float(2 ** entropy(counts)) if counts.any() else 0.0


def entropy(counts: npt.NDArray[np.integer]) -> float:
    """Shannon entropy of a histogram in bits; 0.0 of an empty one."""
    present = counts[counts > 0] / max(1, counts.sum())
    return abs(float((present * np.log2(present)).sum()))


def gini(counts: npt.NDArray[np.integer]) -> float:
    """Gini coefficient of a histogram, in [0, 1): 0.0 of an even or empty one."""
    total = counts.sum()
    if not total:
        return 0.0
    ranks = np.arange(1, len(counts) + 1)
    # Half the mean difference of two entries over their mean, from the sorted entries.
    found = 2 * (ranks * np.sort(counts)).sum() / (len(counts) * total) - (len(counts) + 1) / len(counts)
    return max(0.0, float(found))


def unique_rate(codes: npt.NDArray[np.uint16]) -> float:
    """Distinct rows of codes, uint16 (n, levels), per row; 0.0 of none."""
    return len(_group_sizes(codes)) / max(1, len(codes))


def random_unique_rate(items: int, sizes: Sequence[int]) -> float:
    """Expected distinct codes per item if each of `items` draws one uniformly at random.

    With M = the product of `sizes`, a code is drawn by nobody with probability (1 - 1/M)^n, so
    M(1 - (1 - 1/M)^n) codes occur (the occupancy form of the birthday problem). A tokenizer that falls far
    short of it sees few differences between items, one that reaches it may not see what they have in common.

    Args:
        items: n, at least 0.
        sizes: number of codes of each level, at least 1 each.

    Returns:
        Between 0 and 1: compare with `QualityReport.unique_rate`; 0.0 without items.

    Raises:
        ConfigError: if a size is less than 1, or `items` is negative.
    """
    if items < 0 or any(size < 1 for size in sizes):
        raise ConfigError(
            f"there must be 0 or more items and sizes of at least 1; got {items}, {tuple(sizes)}"
        )
    if not items:
        return 0.0
    total = float(np.prod(np.asarray(sizes, dtype=np.float64)))
    # total * (1 - (1 - 1/total)^items), without the cancellation for large totals
    return float(-total * np.expm1(items * np.log1p(-1.0 / total)) / items) if total > 1 else 1.0 / items


def warn_of_collapse(codes: npt.NDArray[np.uint16], sizes: Sequence[int], name: str) -> None:
    """Warn, once, if a level of freshly learned codes has collapsed."""
    for level, (size, counts) in enumerate(zip(sizes, _counts(codes, sizes), strict=True)):
        found = perplexity(counts)
        if found < COLLAPSED * size:
            warnings.warn(
                f"level {level} of this {name} has collapsed: perplexity {found:.1f} of {size} codes, "
                f"{np.count_nonzero(counts)} in use; hint: look for repeated vectors, keep standardize=True, "
                "take fewer codes or levels, or a lower learning rate where there is one",
                CodebookCollapseWarning,
                stacklevel=3,
            )
            return


def _counts(codes: npt.NDArray[np.uint16], sizes: Sequence[int]) -> list[npt.NDArray[np.int64]]:
    return [np.bincount(codes[:, level], minlength=size) for level, size in enumerate(sizes)]


def _group_sizes(codes: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
    """Number of items of each distinct code; layouts of any width."""
    rows = np.ascontiguousarray(codes, dtype=">u2").view(f"S{2 * codes.shape[1]}").ravel()
    counts: npt.NDArray[np.int64] = np.unique(rows, return_counts=True)[1]
    return counts


def _unexplained(
    tokenizer: "Tokenizer", x: npt.NDArray[np.float32], codes: npt.NDArray[np.uint16]
) -> npt.NDArray[np.float64]:
    """Mean squared error after each level, float64 (levels,), in standard deviations, block by block."""
    deviation = x.std(axis=0, dtype=np.float64)
    informative = varies(x, deviation)
    scale = np.where(informative, 1 / np.where(informative, deviation, 1), 0)
    totals: npt.NDArray[np.float64] = np.zeros(codes.shape[1])
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        for level in range(codes.shape[1]):
            error = (x[rows] - tokenizer.decode(codes[rows, : level + 1])) * scale
            totals[level] += np.einsum("ij,ij->", error, error)
    return totals / max(1, len(x) * int(np.count_nonzero(informative)))
