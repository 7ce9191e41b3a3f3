"""What a tokenizer cost and what its codes are like, as one small file."""

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidkit._files import write_text
from sidkit.errors import DataError, FormatError

__all__ = ["TokenizerFigures"]


@dataclass(frozen=True)
class TokenizerFigures:
    """What tokenizers are compared by.

    Attributes:
        family: what the tokenizer is called in a comparison.
        items: encoded.
        sizes: codes of each level.
        fit_seconds, fit_cpu_seconds: of the stage that fitted it, all it learned from included.
        encode_rows_per_second: all items at once, the median of five times.
        unique_rate: distinct codes by items, before any collision token.
        largest_collision: items on one code at most.
        perplexity: 2 to the entropy of each level's codes.
        mse: of the vectors decoded from the first 1, 2, ... codes, as a part of the variance; of the vectors
            that were quantized, whatever these were.
        purity, purity_by_chance: share of the items of the most frequent category of their prefix of 1,
            2, ... codes, and that of as large prefixes of random items; empty without categories.
        neighbours, neighbours_by_chance: share of an item's ten nearest by content that are among its ten
            nearest by codes, and that of random codes.
        neighbours_by_prefix: the same by the shared prefix alone.
        notes: what happened in the fit that one should know.
    """

    family: str
    items: int
    sizes: Sequence[int]
    fit_seconds: float
    fit_cpu_seconds: float
    encode_rows_per_second: float
    unique_rate: float
    largest_collision: int
    perplexity: Sequence[float]
    mse: Sequence[float]
    purity: Sequence[float]
    purity_by_chance: Sequence[float]
    neighbours: float
    neighbours_by_chance: float
    neighbours_by_prefix: float
    notes: Sequence[str] = ()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `tokenizer.json`, whole or not at all."""
        write_text(Path(path), json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "TokenizerFigures":
        """Read a `tokenizer.json`.

        Raises:
            DataError: if there is no such file.
            FormatError: if it is damaged or another file.
        """
        file = Path(path)
        if not file.is_file():
            raise DataError(f"no figures of a tokenizer at {file}; `sidkit tokenizers` measures them")
        try:
            found: dict[str, Any] = json.loads(file.read_bytes())
            return cls(**found)
        except (ValueError, TypeError) as error:
            raise FormatError(f"{file}: not a tokenizer.json ({type(error).__name__}: {error})") from error
