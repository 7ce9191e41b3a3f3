"""Figures of the Semantic IDs of a run: code usage of each level, unique rate and collisions."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.errors import FormatError
from sidkit.ids import SidTable
from sidkit.report.collect import RunData
from sidkit.tokenizers.quality.usage import gini, perplexity

__all__ = ["Level", "code_counts", "collision_sizes", "level_facts", "unique_rate"]


@dataclass(frozen=True)
class Level:
    """Code usage of one level of the Semantic IDs.

    Attributes:
        codebook_size: number of codewords.
        used: number of codewords in use.
        perplexity: 2 to the power of the entropy of the codes.
        mse: unexplained share of the variance after this level; None if not recorded.
        gini: Gini coefficient of the items per code; None if not recorded.
    """

    codebook_size: int
    used: int
    perplexity: float
    mse: float | None
    gini: float | None = None

    @property
    def entropy(self) -> float:
        """Entropy of the codes in bits."""
        return math.log2(self.perplexity) if self.perplexity > 0 else 0.0


def level_facts(run: RunData) -> list[Level]:
    """Return the figures of each level: those recorded by the stage, else counted from the table."""
    recorded = run.tokenizer.get("levels")
    if isinstance(recorded, list) and recorded:
        return [_recorded_level(run, place, level) for place, level in enumerate(recorded)]
    if run.table is None:
        return []
    errors = run.tokenizer.get("mse", [])
    facts = []
    for level, counts in enumerate(code_counts(run.table)):
        mse = errors[level] if level < len(errors) else None
        used = int(np.count_nonzero(counts))
        facts.append(Level(len(counts), used, perplexity(counts), mse, gini(counts)))
    return facts


def unique_rate(run: RunData) -> float | None:
    """Return the number of distinct codes per item, before collision handling; None if unknown."""
    recorded = run.tokenizer.get("unique_rate")
    if recorded is not None:
        return float(recorded)
    if run.table is None or not len(run.table):
        return None
    return len(_group_sizes(run.table)) / len(run.table)


def collision_sizes(run: RunData) -> dict[int, int]:
    """Count the code sequences with 1, 2, 3, … items; empty if unknown."""
    recorded = run.tokenizer.get("collisions")
    if isinstance(recorded, dict):
        return {int(size): int(count) for size, count in recorded.items()}
    if run.table is None or not len(run.table):
        return {}
    values, counts = np.unique(_group_sizes(run.table), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def code_counts(table: SidTable) -> list[npt.NDArray[np.int64]]:
    """Count the items of each code, one int64 (codebook_size,) per level."""
    codes = table.codes
    return [np.bincount(codes[:, level], minlength=table.sizes[level]) for level in range(codes.shape[1])]


def _recorded_level(run: RunData, place: int, level: Any) -> Level:
    try:
        mse = level.get("mse")
        error = None if mse is None else float(mse)
        uneven = _gini_of_table(run, place) if level.get("gini") is None else float(level["gini"])
        size, used = int(level["codebook_size"]), int(level["used"])
        return Level(size, used, float(level["perplexity"]), error, uneven)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"{run.path}: the recorded figures of a tokenizer level are damaged: {level!r}. "
            "Run the stage `tokenize` again"
        ) from error


def _gini_of_table(run: RunData, level: int) -> float | None:
    if run.table is None or level >= run.table.codes.shape[1]:
        return None
    return gini(code_counts(run.table)[level])


def _group_sizes(table: SidTable) -> npt.NDArray[np.int64]:
    sizes: npt.NDArray[np.int64] = np.unique(table.codes, axis=0, return_counts=True)[1]
    return sizes
