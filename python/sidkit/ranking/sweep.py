"""Results of a sweep over shapes of Semantic IDs: tokenizers, levels and codebook sizes at one budget."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from sidkit._arguments import checked
from sidkit.errors import FormatError
from sidkit.ranking.compare import Comparison

__all__ = ["Cell", "Sweep", "Swept"]


@dataclass(frozen=True)
class Cell:
    """One shape of Semantic IDs.

    Attributes:
        tokenizer: `rqkmeans`, `rqvae` or `pq`.
        levels: number of tokens of a Semantic ID.
        codebook_size: number of codewords at each level.
    """

    tokenizer: str
    levels: int
    codebook_size: int

    @property
    def name(self) -> str:
        """`rqkmeans-3x64`."""
        return f"{self.tokenizer}-{self.levels}x{self.codebook_size}"


@dataclass(frozen=True)
class Swept:
    """A cell with its figures.

    Attributes:
        cell: the shape.
        distinct: distinct Semantic IDs per item, 1 if there are no collisions.
        comparison: figures of the one representation, under the name of the cell.
    """

    cell: Cell
    distinct: float
    comparison: Comparison

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object for `from_dict`."""
        comparison = json.loads(self.comparison.to_json())
        return {"cell": asdict(self.cell), "distinct": self.distinct, "comparison": comparison}

    @classmethod
    @checked
    def from_dict(cls, stored: dict[str, Any]) -> Swept:
        """Build a cell from the output of `as_dict`.

        Raises:
            FormatError: if it is not the object of a cell.
        """
        try:
            comparison = Comparison.from_json(json.dumps(stored["comparison"]))
            return cls(Cell(**stored["cell"]), float(stored["distinct"]), comparison)
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(
                f"this is no cell of a sweep: expected its JSON object, got {error!r}."
            ) from error


@dataclass(frozen=True)
class Sweep:
    """Figures of all cells and of the baselines.

    Attributes:
        representation: the kind of n-gram.
        baselines: the comparison of `random` and `content`.
        cells: in the order of the grid.
    """

    representation: str
    baselines: Comparison
    cells: list[Swept]

    def table(self) -> pl.DataFrame:
        """Summarize all cells, with differences from `random`, see `Comparison.summary`.

        Returns:
            A row for each cell (or baseline, whose `tokenizer` is null), slice and metric: `name`,
            `tokenizer`, `levels`, `codebook_size`, `distinct`, and the columns of the summary.
        """
        shapes = pl.DataFrame(
            [asdict(each.cell) | {"name": each.cell.name, "distinct": each.distinct} for each in self.cells],
            schema={
                "tokenizer": pl.String,
                "levels": pl.Int64,
                "codebook_size": pl.Int64,
                "name": pl.String,
                "distinct": pl.Float64,
            },
        )
        everything = self.baselines
        for each in self.cells:
            everything = everything.combined(each.comparison)
        summary = everything.summary().rename({"representation": "name"})
        rows = summary.join(shapes, on="name", how="left", maintain_order="left")
        first = ["name", "tokenizer", "levels", "codebook_size", "distinct"]
        return rows.select(*first, pl.exclude(*first))

    def to_json(self) -> str:
        """Return JSON text for `from_json`."""
        stored = {
            "representation": self.representation,
            "baselines": json.loads(self.baselines.to_json()),
            "cells": [each.as_dict() for each in self.cells],
        }
        return json.dumps(stored).replace('{"cell"', '\n{"cell"')

    @classmethod
    @checked
    def from_json(cls, text: str) -> Sweep:
        """Build a sweep from the output of `to_json`.

        Raises:
            FormatError: if the text is not that of a sweep.
        """
        try:
            stored = json.loads(text)
            baselines = Comparison.from_json(json.dumps(stored["baselines"]))
            cells = [Swept.from_dict(each) for each in stored["cells"]]
            return cls(stored["representation"], baselines, cells)
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"not the JSON of a sweep: {error}. Run `sidkit sweep` again") from error
