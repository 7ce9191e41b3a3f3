"""Embedding tables over the n-grams of Semantic IDs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor, nn

from sidkit import SidLayout, ngram_rows
from sidkit.errors import ConfigError, DataError

__all__ = ["SidEmbedding", "id_rows", "jagged_rows"]

Mode = Literal["mix", "modulo", "murmur3"]
Rows = npt.NDArray[np.int64]

# An item's id as one n-gram: 64 bits, far more of them than any table has rows, so always hashed.
ID_LAYOUT = SidLayout([65536] * 4)


class SidEmbedding(nn.Module):
    """The sum of one learned vector for each n-gram of a Semantic ID.

    There is one table for each kind of n-gram; `sidkit.ngram_rows` says which rows. Hashing is data
    preparation: call `rows` once per catalogue, and look the result up by item.

    Args:
        layout: the layout of the Semantic IDs.
        dim: the length of the vectors.
        kinds: the kinds of n-gram, as `sidkit.ngram_windows` names them: one name or several.
        rows: rows of each table.
        seed: of the hash.
        mode: of the hash, see `sidkit.ngram_rows`.
        sparse: give sparse gradients, for tables too large to be updated whole (`torch.optim.SparseAdam`).
    """

    def __init__(
        self,
        layout: SidLayout,
        dim: int,
        *,
        kinds: str | Sequence[str] = "prefix",
        rows: int,
        seed: int = 0,
        mode: Mode = "mix",
        sparse: bool = False,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        self.table_rows, self.seed, self.mode = rows, seed, mode
        if dim < 1 or not self.kinds:
            raise ConfigError(
                f"an embedding has a dim of 1 or more and at least one kind; got {dim=}, {kinds=}"
            )
        empty = layout.pack(np.empty((0, layout.levels), np.uint16))
        # Hashing nothing at all checks the settings and counts the n-grams.
        self.grams = [part.shape[1] for part in self._parts(empty)]
        tables = [nn.EmbeddingBag(rows, dim, mode="sum", sparse=sparse) for _ in self.kinds]
        for table in tables:
            nn.init.normal_(table.weight, std=(0.01 / sum(self.grams)) ** 0.5)
        self.tables = nn.ModuleList(tables)

    def _parts(self, packed: npt.NDArray[np.uint64]) -> list[Rows]:
        rows, seed, mode = self.table_rows, self.seed, self.mode
        return [
            ngram_rows(packed, self.layout, kind=kind, rows=rows, seed=seed, mode=mode) for kind in self.kinds
        ]

    def rows(self, packed: npt.NDArray[np.uint64]) -> Tensor:
        """Find the rows of packed Semantic IDs, int64 (n, grams): the columns of one kind after the other.

        Raises:
            TypeError: if `packed` has another dtype than uint64.
            ValueError: if its shape is not that of the layout, or it holds what is no Semantic ID of it.
        """
        return torch.from_numpy(np.concatenate(self._parts(packed), axis=1))

    def forward(self, rows: Tensor) -> Tensor:
        """Embed the items with these rows: int64 (n, grams) to float (n, dim)."""
        parts = torch.split(rows, self.grams, dim=1)
        summed = [table(part) for table, part in zip(self.tables, parts, strict=True)]  # each (n, dim)
        return torch.stack(summed).sum(dim=0)


def id_rows(item_ids: pl.Series, *, rows: int, seed: int = 0, mode: Mode = "mix") -> Rows:
    """Hash items' ids onto the rows of a table: the random hash that Semantic IDs are to replace.

    Integers are hashed as they are, strings by their BLAKE2b digest of 8 bytes.

    Returns:
        The rows, int64 (n, 1).

    Raises:
        DataError: if the ids are neither integers nor strings.
    """
    if item_ids.dtype == pl.String:
        digests = (hashlib.blake2b(each.encode(), digest_size=8).digest() for each in item_ids)
        numbers = np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)
    elif item_ids.dtype.is_integer():
        numbers = item_ids.to_numpy().astype(np.int64).view(np.uint64)
    else:
        raise DataError(f"item ids must be integers or strings; got {item_ids.dtype}")
    return ngram_rows(numbers, ID_LAYOUT, kind=[(0, 4)], rows=rows, seed=seed, mode=mode)


def jagged_rows(rows: Rows, offsets: npt.NDArray[np.integer]) -> tuple[Rows, Rows]:
    """Turn the rows of ragged lists of items into the values and offsets of a jagged tensor, without a copy.

    This is what `torch.nn.functional.embedding_bag` takes, and what a `KeyedJaggedTensor` of TorchRec
    holds for one key.

    Args:
        rows: int64 (items, grams), C-contiguous: the rows of all lists' items, one list after the other.
        offsets: where each list begins, and where the last one ends: int (lists + 1,), in items.

    Returns:
        The values, int64 (items * grams,), and the offsets, int64 (lists + 1,), in values.

    Raises:
        DataError: if the offsets do not rise from 0 to the number of items.
    """
    bounds = np.asarray(offsets, dtype=np.int64)
    if len(bounds) == 0 or bounds[0] != 0 or bounds[-1] != len(rows) or np.any(np.diff(bounds) < 0):
        raise DataError(f"offsets must rise from 0 to {len(rows)}, the number of items; got {offsets!r}")
    return rows.reshape(-1), bounds * rows.shape[1]
