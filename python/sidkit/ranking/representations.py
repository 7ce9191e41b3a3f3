"""What may stand for an item in a ranking model, all with the same number of parameters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sidkit import SidLayout, ngram_rows
from sidkit.errors import ConfigError
from sidkit.ranking.embedding import id_rows, jagged_rows
from sidkit.ranking.pieces import Pieces

__all__ = ["REPRESENTATIONS", "ContentVectors", "TableVectors", "item_vectors"]

# In the order of reports: the two that Semantic IDs are to beat, then their own.
REPRESENTATIONS = ("random", "content", "unigram", "bigram", "all", "prefix", "pieces")


class TableVectors(nn.Module):
    """Each item is the sum of some rows of one table.

    Args:
        values: int64 (total,), the rows of all items, one item after the other.
        offsets: int64 (items + 1,), where each item begins in them, and where the last one ends.
        rows: rows of the table.
        dim: length of the vectors.
    """

    values: Tensor
    offsets: Tensor

    def __init__(
        self, values: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64], *, rows: int, dim: int
    ) -> None:
        super().__init__()
        self.register_buffer("values", torch.from_numpy(values), persistent=False)
        self.register_buffer("offsets", torch.from_numpy(offsets), persistent=False)
        # As many small vectors as an item has rows add up to one of the usual size.
        grams = max(1.0, len(values) / max(1, len(offsets) - 1))
        self.table = nn.Parameter(torch.randn(rows, dim) * (0.01 / grams) ** 0.5)

    def forward(self) -> Tensor:
        """The vectors of all items, (items, dim)."""
        bags: Tensor = F.embedding_bag(
            self.values, self.table, self.offsets, mode="sum", include_last_offset=True
        )
        return bags


class ContentVectors(nn.Module):
    """Each item is what two layers make of its content vector.

    Args:
        vectors: float32 (items, content dim).
        dim: length of the vectors made.
        budget: about how many parameters to spend; the width between the layers follows from it.
    """

    content: Tensor

    def __init__(self, vectors: npt.NDArray[np.float32], *, dim: int, budget: int) -> None:
        super().__init__()
        width = max(1, round((budget - dim) / (vectors.shape[1] + 1 + dim)))
        # Columns of one size learn at one pace, whatever model made the vectors.
        scaled = (vectors - vectors.mean(axis=0)) / (vectors.std(axis=0) + 1e-6)
        self.register_buffer("content", torch.from_numpy(scaled.astype(np.float32)), persistent=False)
        self.layers = nn.Sequential(nn.Linear(vectors.shape[1], width), nn.ReLU(), nn.Linear(width, dim))

    def forward(self) -> Tensor:
        """The vectors of all items, (items, dim)."""
        made: Tensor = self.layers(self.content)
        return made


def item_vectors(
    name: str,
    *,
    item_ids: pl.Series,
    vectors: npt.NDArray[np.float32],
    codes: npt.NDArray[np.uint16],
    layout: SidLayout,
    known: npt.NDArray[np.bool_],
    rows: int,
    dim: int,
    seed: int = 0,
) -> nn.Module:
    """Make the representation of this name, of about `rows * dim` parameters.

    Args:
        name: `random` (a hash of the id), `content`, a kind of n-gram that `sidkit.ngram_windows` knows, or
            `pieces`.
        item_ids: the users' ids of the items.
        vectors: float32 (items, content dim).
        codes: uint16 (items, levels), the tokens of their Semantic IDs.
        layout: the layout of those.
        known: bool (items,), the items that there were in training; pieces are learned from these.
        rows: rows of the table.
        dim: length of the vectors made.
        seed: of the hash and of the first parameters.

    Raises:
        ConfigError: if there is no such representation, or too few rows for `pieces`.
    """
    torch.manual_seed(seed)
    if name == "content":
        return ContentVectors(vectors, dim=dim, budget=rows * dim)
    if name == "pieces":
        values, offsets = Pieces(layout, rows).fit(codes[known]).encode(codes)
        return TableVectors(values, offsets, rows=rows, dim=dim)
    if name == "random":
        found = id_rows(item_ids, rows=rows, seed=seed)
    else:
        try:
            found = ngram_rows(layout.pack(codes), layout, kind=name, rows=rows, seed=seed)
        except ValueError as error:
            names = ", ".join(REPRESENTATIONS)
            raise ConfigError(f"no representation `{name}`: {error}; hint: {names}") from error
    values, offsets = jagged_rows(found, np.arange(len(found) + 1))
    return TableVectors(values, offsets, rows=rows, dim=dim)
