"""Codebook usage: entropy, perplexity, Gini coefficient, unique rate, and the collapse warning."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit._arguments import checked
from sidkit._warnings import warn
from sidkit.errors import ConfigError

__all__ = [
    "COLLAPSED",
    "CodebookCollapseWarning",
    "code_counts",
    "entropy",
    "gini",
    "group_sizes",
    "perplexity",
    "random_unique_rate",
    "unique_rate",
    "warn_of_collapse",
]

#: A level whose perplexity is below this share of its codes has collapsed.
COLLAPSED = 0.1


class CodebookCollapseWarning(UserWarning):
    """A level uses too few of its codes to distinguish items."""


def perplexity(counts: npt.NDArray[np.integer]) -> float:
    """Compute 2 to the entropy, in bits, of a histogram; 0.0 for an empty one."""
    return float(2 ** entropy(counts)) if counts.any() else 0.0


def entropy(counts: npt.NDArray[np.integer]) -> float:
    """Compute the Shannon entropy of a histogram in bits; 0.0 for an empty one."""
    present = counts[counts > 0] / max(1, counts.sum())
    return abs(float((present * np.log2(present)).sum()))


def gini(counts: npt.NDArray[np.integer]) -> float:
    """Compute the Gini coefficient of a histogram, in [0, 1); 0.0 for an even or empty one."""
    total = counts.sum()
    if not total:
        return 0.0
    ranks = np.arange(1, len(counts) + 1)
    # Half the mean difference of two entries over their mean, from the sorted entries.
    found = 2 * (ranks * np.sort(counts)).sum() / (len(counts) * total) - (len(counts) + 1) / len(counts)
    return max(0.0, float(found))


def unique_rate(codes: npt.NDArray[np.uint16]) -> float:
    """Compute the number of distinct rows of codes, uint16 (n, levels), per row; 0.0 without rows."""
    return len(group_sizes(codes)) / max(1, len(codes))


@checked
def random_unique_rate(items: int, sizes: Sequence[int]) -> float:
    """Compute the expected number of distinct codes per item if codes are drawn uniformly at random.

    With M = the product of `sizes`, no item draws a given code with probability (1 - 1/M)^n, so
    M(1 - (1 - 1/M)^n) codes occur (the occupancy form of the birthday problem). A tokenizer far below this
    rate merges items that differ; one that reaches it may not group similar items.

    Args:
        items: n, at least 0.
        sizes: number of codes of each level, at least 1 each.

    Returns:
        A rate in [0, 1], comparable to `QualityReport.unique_rate`; 0.0 without items.

    Raises:
        ConfigError: if a size is less than 1, or `items` is negative.
    """
    if items < 0 or any(size < 1 for size in sizes):
        raise ConfigError(
            "the unique rate of random codes is undefined: expected items >= 0 and sizes >= 1, got "
            f"{items} and {tuple(sizes)}."
        )
    if not items:
        return 0.0
    total = float(np.prod(np.asarray(sizes, dtype=np.float64)))
    # total * (1 - (1 - 1/total)^items), without the cancellation for large totals
    return float(-total * np.expm1(items * np.log1p(-1.0 / total)) / items) if total > 1 else 1.0 / items


def warn_of_collapse(counts_by_level: Sequence[npt.NDArray[np.int64]], name: str) -> None:
    """Warn once if a level of newly learned codes has collapsed; see `code_counts`."""
    for level, counts in enumerate(counts_by_level):
        size, found = len(counts), perplexity(counts)
        if found < COLLAPSED * size:
            warn(
                f"level {level} of {name} has collapsed: expected a perplexity of at least "
                f"{COLLAPSED * size:.1f}, got {found:.1f} with {np.count_nonzero(counts)} of {size} codes in "
                "use. Look for repeated vectors, keep standardize=True, use a smaller codebook_size or fewer "
                "levels, or a lower learning rate.",
                CodebookCollapseWarning,
            )
            return


def code_counts(codes: npt.NDArray[np.uint16], sizes: Sequence[int]) -> list[npt.NDArray[np.int64]]:
    """Count the rows with each code, int64 (size,), one array per level."""
    return [np.bincount(codes[:, level], minlength=size) for level, size in enumerate(sizes)]


def group_sizes(codes: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
    """Count the rows with each distinct tuple of codes, int64 (tuples,); any number of levels."""
    rows = np.ascontiguousarray(codes, dtype=">u2").view(f"S{2 * codes.shape[1]}").ravel()
    counts: npt.NDArray[np.int64] = np.unique(rows, return_counts=True)[1]
    return counts
