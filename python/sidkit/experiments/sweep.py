"""Sweep over shapes of Semantic IDs at one budget: tokenizers, levels and codebook sizes."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sidkit._arguments import Seed, checked
from sidkit._core import SidLayout
from sidkit._files import write_text
from sidkit._progress import Progress, silent
from sidkit.errors import ConfigError, FormatError
from sidkit.ranking import (
    Cell,
    Comparison,
    RankedItems,
    RankSettings,
    Sweep,
    Swept,
    TimeSplit,
    compare,
)
from sidkit.tokenizers import Tokenizer
from sidkit.tokenizers.registry import TOKENIZERS

__all__ = ["make_tokenizer", "sweep", "sweep_grid"]

# Baselines at the same budget, which use no tokenizer.
BASELINES = ("random", "content")


@checked
def sweep_grid(tokenizers: Sequence[str], levels: Sequence[int], codebook_sizes: Sequence[int]) -> list[Cell]:
    """List every combination of tokenizer, number of levels and codebook size.

    Raises:
        ConfigError: if a tokenizer is unknown or has no levels and codebook size, or a list is empty or has
            duplicates.
    """
    for name in tokenizers:
        parameters = inspect.signature(TOKENIZERS[name]).parameters
        if not {"levels", "codebook_size"} <= parameters.keys():
            raise ConfigError(
                f"`{name}` cannot be swept: expected a tokenizer with levels and a codebook size"
            )
    cells = [Cell(*shape) for shape in itertools.product(tokenizers, levels, codebook_sizes)]
    if not cells or len(set(cells)) < len(cells):
        raise ConfigError(
            "a grid must have at least one tokenizer, number of levels and codebook size, without "
            f"duplicates, got {list(tokenizers)}, {list(levels)}, {list(codebook_sizes)}"
        )
    return cells


@checked
def make_tokenizer(cell: Cell, *, seed: Seed = 0, threads: int | None = None) -> Tokenizer:
    """Create an unfitted tokenizer of this shape, with defaults for all other parameters."""
    known = inspect.signature(TOKENIZERS[cell.tokenizer]).parameters
    options = {name: value for name, value in (("seed", seed), ("threads", threads)) if name in known}
    tokenizer: Tokenizer = TOKENIZERS[cell.tokenizer](
        levels=cell.levels, codebook_size=cell.codebook_size, **options
    )
    return tokenizer


@checked
def sweep(
    split: TimeSplit,
    cells: Sequence[Cell],
    directory: str | os.PathLike[str],
    *,
    items: RankedItems,
    representation: str = "all",
    settings: RankSettings | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> Sweep:
    """Train the same ranking model on every shape of Semantic IDs, and measure it on the test period.

    Each cell is written to `directory` when it is finished. Calling an interrupted sweep again resumes it,
    and a larger grid reuses finished cells.

    Args:
        split: the events.
        cells: the shapes, see `sweep_grid`.
        directory: directory of finished cells, one file each.
        items: the catalogue; tokenizers are fitted to the vectors of the items of the training period.
        representation: a kind of n-gram of `sidkit.ids.ngram_windows`, or `pieces`.
        settings: budget and training of every cell; by default 1,024 embeddings and 3 seeds.
        threads: maximum number of threads of the tokenizers; all cores if None.
        progress: called after each cell.

    Raises:
        ConfigError: if a setting is invalid, or the directory holds cells of other data or settings.
        FormatError: if the file of a cell is damaged.
    """
    settings = settings or RankSettings(num_embeddings=1024, seeds=(0, 1, 2))
    recorded = asdict(settings) | {"seeds": list(settings.seeds), "representation": representation}
    store = _Store(Path(directory), _fingerprint(recorded, split, items))
    stored = store.get("baselines")
    if stored is None:
        baselines = compare(split, items, representations=BASELINES, settings=settings)
        store.put("baselines", json.loads(baselines.to_json()))
    else:
        baselines = Comparison.from_json(json.dumps(stored))
    known = split.train_counts > 0
    found = []
    for done, cell in enumerate(cells):
        progress(done, len(cells))
        stored = store.get(cell.name)
        if stored is not None:
            found.append(Swept.from_dict(stored))
            continue
        tokenizer = make_tokenizer(cell, threads=threads).fit(items.vectors[known])
        codes = tokenizer.encode(items.vectors)
        shaped = items.with_codes(codes, SidLayout(tokenizer.codebook_sizes))
        measured = compare(split, shaped, representations=[representation], settings=settings)
        distinct = len(np.unique(codes, axis=0)) / len(codes)
        found.append(Swept(cell, distinct, measured.renamed(representation, cell.name)))
        store.put(cell.name, found[-1].as_dict())
    progress(len(cells), len(cells))
    return Sweep(representation, baselines, found)


class _Store:
    """One JSON file for each finished cell, with the fingerprint of data and settings."""

    def __init__(self, directory: Path, fingerprint: str) -> None:
        self._directory, self._fingerprint = directory, fingerprint

    def get(self, name: str) -> Any:
        path = self._directory / f"{name}.json"
        if not path.exists():
            return None
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            fingerprint, content = stored["fingerprint"], stored["content"]
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{path} is damaged ({error}). Delete it to recompute this cell") from error
        if fingerprint != self._fingerprint:
            raise ConfigError(
                f"{path} was made with other data or settings. Use another directory, or delete this one"
            )
        return content

    def put(self, name: str, content: Any) -> None:
        text = json.dumps({"fingerprint": self._fingerprint, "content": content})
        write_text(self._directory / f"{name}.json", text)


def _fingerprint(settings: dict[str, Any], split: TimeSplit, items: RankedItems) -> str:
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=16)
    for part in (split.train, split.validation, split.test):
        for column in (part.users, part.items, part.times, part.labels, part.histories, part.context):
            digest.update(np.ascontiguousarray(column).tobytes())
    digest.update(json.dumps([str(each) for each in items.item_ids]).encode())
    digest.update(np.ascontiguousarray(items.vectors).tobytes())
    return digest.hexdigest()
