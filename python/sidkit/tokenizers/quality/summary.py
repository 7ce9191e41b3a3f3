"""Figures of a tokenizer for comparisons: cost and quality, as one small file."""

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidkit._arguments import checked
from sidkit._files import write_text
from sidkit.errors import DataError, FormatError

__all__ = ["TokenizerFigures"]


@dataclass(frozen=True)
class TokenizerFigures:
    """Figures by which tokenizers are compared.

    Attributes:
        tokenizer: name of the tokenizer in a comparison.
        items: number of encoded items.
        codebook_sizes: number of codes of each level.
        fit_seconds, fit_cpu_seconds: time of the stage that fitted it, including the computation of its
            inputs.
        encode_rows_per_second: rows per second for all items at once, median of five runs.
        unique_rate: distinct codes per item, before collision handling.
        largest_collision: largest number of items with one code.
        perplexity: 2 to the entropy of each level's codes.
        mse: squared error after 1, 2, ... levels, as a share of the variance of the encoded vectors.
        purity, purity_by_chance: share of the items with the most frequent category of their prefix of 1,
            2, ... codes, and the same for random groups of equal size; empty without categories.
        neighbours, neighbours_by_chance: share of an item's ten nearest neighbours by content that are among
            its ten nearest by codes, and the same for random codes.
        neighbours_by_prefix: the same with distance by shared prefix alone.
        notes: codebook collapses during `fit` and the actions taken.
    """

    tokenizer: str
    items: int
    codebook_sizes: Sequence[int]
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

    @checked
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `tokenizer.json`, atomically."""
        write_text(Path(path), json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False) + "\n")

    @classmethod
    @checked
    def load(cls, path: str | os.PathLike[str]) -> "TokenizerFigures":
        """Read a `tokenizer.json`.

        Raises:
            DataError: if there is no such file.
            FormatError: if it is damaged or another file.
        """
        file = Path(path)
        if not file.is_file():
            raise DataError(
                f"the figures of a tokenizer are missing: expected a file at {file}. Run `sidkit tokenizers`."
            )
        try:
            found: dict[str, Any] = json.loads(file.read_bytes())
            return cls(**found)
        except (ValueError, TypeError) as error:
            raise FormatError(f"{file} is damaged: expected a tokenizer.json, got: {error!r}.") from error
