"""Many shapes of Semantic IDs at one budget: what levels, codes and the kind of tokenizer are worth."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit import SidLayout
from sidkit._files import write_text
from sidkit._progress import Progress, silent
from sidkit.errors import ConfigError, FormatError
from sidkit.ranking.compare import Comparison, compare
from sidkit.ranking.impressions import TimeSplit
from sidkit.tokenizers import PQ, RQVAE, RQKMeans, Tokenizer

__all__ = ["TOKENIZERS", "Cell", "Sweep", "Swept", "make_tokenizer", "sweep", "sweep_grid"]

TOKENIZERS: dict[str, type[RQKMeans] | type[RQVAE] | type[PQ]] = {
    "rqkmeans": RQKMeans,
    "rqvae": RQVAE,
    "pq": PQ,
}

# What the cells are held against, at the same budget; neither knows anything of a tokenizer.
BASELINES = ("random", "content")


@dataclass(frozen=True)
class Cell:
    """One shape of Semantic IDs.

    Attributes:
        tokenizer: `rqkmeans`, `rqvae` or `pq`.
        levels: tokens of a Semantic ID.
        codebook_size: codewords of each level.
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
        distinct: Semantic IDs per item, 1 if every item has its own.
        comparison: of the one representation, under the name of the cell.
    """

    cell: Cell
    distinct: float
    comparison: Comparison


@dataclass(frozen=True)
class Sweep:
    """All cells, and what they are held against.

    Attributes:
        representation: the kind of n-gram.
        baselines: the comparison of `random` and `content`.
        cells: in the order of the grid.
    """

    representation: str
    baselines: Comparison
    cells: list[Swept]

    def table(self) -> pl.DataFrame:
        """The summary of all cells, with differences to `random`, see `Comparison.summary`.

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
        joined = self.baselines
        for each in self.cells:
            joined = joined.joined(each.comparison)
        summary = joined.summary().rename({"representation": "name"})
        rows = summary.join(shapes, on="name", how="left", maintain_order="left")
        first = ["name", "tokenizer", "levels", "codebook_size", "distinct"]
        return rows.select(*first, pl.exclude(*first))

    def to_json(self) -> str:
        """Everything as JSON text, which `from_json` reads."""
        stored = {
            "representation": self.representation,
            "baselines": json.loads(self.baselines.to_json()),
            "cells": [_stored(each) for each in self.cells],
        }
        return json.dumps(stored).replace('{"cell"', '\n{"cell"')

    @classmethod
    def from_json(cls, text: str) -> Sweep:
        """What `to_json` wrote.

        Raises:
            FormatError: if the text is not that of a sweep.
        """
        try:
            stored = json.loads(text)
            baselines = Comparison.from_json(json.dumps(stored["baselines"]))
            return cls(stored["representation"], baselines, [_read(each) for each in stored["cells"]])
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"this is not the JSON of a sweep: {error}") from error


def sweep_grid(tokenizers: Sequence[str], levels: Sequence[int], codes: Sequence[int]) -> list[Cell]:
    """Every tokenizer with every number of levels and of codes.

    Raises:
        ConfigError: if there is no such tokenizer, or nothing to vary.
    """
    unknown = sorted(set(tokenizers) - TOKENIZERS.keys())
    if unknown:
        raise ConfigError(f"no tokenizer {', '.join(unknown)}; there are {', '.join(TOKENIZERS)}")
    cells = [Cell(*shape) for shape in itertools.product(tokenizers, levels, codes)]
    if not cells or len(set(cells)) < len(cells):
        raise ConfigError(
            "a grid needs at least one tokenizer, number of levels and of codes, each given once; "
            f"got {list(tokenizers)}, {list(levels)}, {list(codes)}"
        )
    return cells


def make_tokenizer(cell: Cell, *, seed: int = 0, threads: int | None = None) -> Tokenizer:
    """The tokenizer of this shape, with its defaults otherwise, to be fitted."""
    return TOKENIZERS[cell.tokenizer](cell.levels, cell.codebook_size, seed=seed, threads=threads)


def sweep(
    split: TimeSplit,
    cells: Sequence[Cell],
    folder: str | os.PathLike[str],
    *,
    users: int,
    item_ids: pl.Series,
    vectors: npt.NDArray[np.float32],
    representation: str = "all",
    rows: int = 1024,
    dim: int = 16,
    seeds: Sequence[int] = (0, 1, 2),
    epochs: int = 8,
    batch_size: int = 1024,
    threads: int | None = None,
    progress: Progress = silent,
) -> Sweep:
    """Train the same ranking model on every shape of Semantic IDs, and measure it on the test period.

    Each cell is written to `folder` as soon as it is finished, so an interrupted sweep that is called again
    goes on where it was, and a larger grid reuses what is there.

    Args:
        split: the events.
        cells: the shapes, see `sweep_grid`.
        folder: where finished cells are kept, one file each.
        users: how many users there are.
        item_ids: the users' ids of the items.
        vectors: float32 (items, content dim); tokenizers learn from those of the items met in training.
        representation: a kind of n-gram, as `sidkit.ngram_windows` names them, or `pieces`.
        rows: the budget of every cell, in rows of `dim` parameters.
        dim: length of the vectors.
        seeds: one training of the ranking model each; tokenizers are trained once.
        epochs: at most.
        batch_size: events a step.
        threads: of the tokenizers, at most; all cores if None.
        progress: told after each cell.

    Raises:
        ConfigError: if a setting makes no sense, or the folder holds cells of other data or settings.
        FormatError: if a file of a cell is damaged.
    """
    settings = {"rows": rows, "dim": dim, "seeds": list(seeds), "epochs": epochs, "batch_size": batch_size}
    mark = _fingerprint({**settings, "representation": representation}, split, item_ids, vectors)
    store = _Store(Path(folder), mark)

    def measure(codes: npt.NDArray[np.uint16], sizes: Sequence[int], names: Sequence[str]) -> Comparison:
        return compare(
            split,
            users=users,
            item_ids=item_ids,
            vectors=vectors,
            codes=codes,
            layout=SidLayout(sizes),
            representations=names,
            rows=rows,
            dim=dim,
            seeds=seeds,
            epochs=epochs,
            batch_size=batch_size,
        )

    known = split.train_counts > 0
    stored = store.get("baselines")
    if stored is None:
        nothing = np.zeros((len(item_ids), 1), np.uint16)
        baselines = measure(nothing, [2], BASELINES)
        store.put("baselines", json.loads(baselines.to_json()))
    else:
        baselines = Comparison.from_json(json.dumps(stored))
    found = []
    for done, cell in enumerate(cells):
        progress(done, len(cells))
        stored = store.get(cell.name)
        if stored is not None:
            found.append(_read(stored))
            continue
        tokenizer = make_tokenizer(cell, threads=threads).fit(vectors[known])
        codes = tokenizer.encode(vectors)
        measured = measure(codes, tokenizer.codebook_sizes, [representation]).renamed(
            representation, cell.name
        )
        found.append(Swept(cell, len(np.unique(codes, axis=0)) / len(codes), measured))
        store.put(cell.name, _stored(found[-1]))
    progress(len(cells), len(cells))
    return Sweep(representation, baselines, found)


class _Store:
    """One JSON file for each finished piece of work, each with the fingerprint of data and settings."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder, self._fingerprint = folder, fingerprint

    def get(self, name: str) -> Any:
        path = self._folder / f"{name}.json"
        if not path.exists():
            return None
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            fingerprint, content = stored["fingerprint"], stored["content"]
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{path} is damaged ({error}); delete it, and it is made again") from error
        if fingerprint != self._fingerprint:
            raise ConfigError(
                f"{path} was made with other data or settings; choose another folder, or delete this one"
            )
        return content

    def put(self, name: str, content: Any) -> None:
        text = json.dumps({"fingerprint": self._fingerprint, "content": content})
        write_text(self._folder / f"{name}.json", text)


def _fingerprint(
    settings: dict[str, Any], split: TimeSplit, item_ids: pl.Series, vectors: npt.NDArray[np.float32]
) -> str:
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=16)
    for part in (split.train, split.valid, split.test):
        for column in (part.users, part.items, part.times, part.labels, part.histories, part.context):
            digest.update(np.ascontiguousarray(column).tobytes())
    digest.update(json.dumps([str(each) for each in item_ids]).encode())
    digest.update(np.ascontiguousarray(vectors).tobytes())
    return digest.hexdigest()


def _stored(swept: Swept) -> dict[str, Any]:
    comparison = json.loads(swept.comparison.to_json())
    return {"cell": asdict(swept.cell), "distinct": swept.distinct, "comparison": comparison}


def _read(stored: dict[str, Any]) -> Swept:
    comparison = Comparison.from_json(json.dumps(stored["comparison"]))
    return Swept(Cell(**stored["cell"]), float(stored["distinct"]), comparison)
