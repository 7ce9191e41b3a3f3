"""Hash embeddings of the n-grams of Semantic IDs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor, nn

from sidkit._arguments import Count, Seed, Shape, Width, checked
from sidkit._core import SidLayout, ngram_rows
from sidkit.errors import ConfigError, DataError

__all__ = ["SidEmbedding", "id_rows", "jagged_rows"]

Mode = Literal["mix", "modulo", "murmur3"]
Rows = npt.NDArray[np.int64]

# An item's id as one n-gram of 64 bits, which is always hashed.
ID_LAYOUT = SidLayout([65536] * 4)


@checked
class SidEmbedding(nn.Module):
    """Sum of one learned vector for each n-gram of a Semantic ID.

    Each kind of n-gram has its own table; `sidkit.ngram_rows` hashes n-grams to its rows. Hashing is data
    preparation: call `rows` once per catalogue, and index the result by item.

    Args:
        layout: the layout of the Semantic IDs.
        dim: length of the vectors.
        kinds: kinds of n-gram, as named by `sidkit.ids.ngram_windows`: one name or several.
        num_embeddings: size of each table.
        seed: seed of the hash.
        mode: mode of the hash, see `sidkit.ngram_rows`.
        sparse: whether gradients are sparse, for large tables (`torch.optim.SparseAdam`).

    Raises:
        ConfigError: if `dim` is not in 1..65536 or there is no kind.
        ValueError: if a kind is unknown.
    """

    def __init__(
        self,
        layout: SidLayout,
        dim: Width,
        *,
        kinds: str | Sequence[str] = "prefix",
        num_embeddings: Count,
        seed: Seed = 0,
        mode: Mode = "mix",
        sparse: bool = False,
    ) -> None:
        super().__init__()
        self.layout, self.dim = layout, dim
        self.kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        self.num_embeddings, self.seed, self.mode = num_embeddings, seed, mode
        if not self.kinds:
            raise ConfigError("`kinds` is invalid: expected at least one kind of n-grams, got none.")
        empty = layout.pack(np.empty((0, layout.levels), np.uint16))
        # Hashing an empty array validates the settings and counts the n-grams.
        self.grams = [part.shape[1] for part in self._parts(empty)]
        tables = [nn.EmbeddingBag(num_embeddings, dim, mode="sum", sparse=sparse) for _ in self.kinds]
        for table in tables:
            nn.init.normal_(table.weight, std=(0.01 / sum(self.grams)) ** 0.5)
        self.tables = nn.ModuleList(tables)

    def _parts(self, packed: npt.NDArray[np.uint64]) -> list[Rows]:
        size, seed, mode = self.num_embeddings, self.seed, self.mode
        return [
            ngram_rows(packed, self.layout, kind=kind, num_embeddings=size, seed=seed, mode=mode)
            for kind in self.kinds
        ]

    def rows(self, packed: npt.NDArray[np.uint64]) -> Tensor:
        """Hash packed Semantic IDs to rows of the tables.

        Args:
            packed: uint64 (n,), or (n, 2) for layouts of more than 64 bits.

        Returns:
            int64 (n, n_grams), the columns of one kind after those of the other.

        Raises:
            DataError: if `packed` is not such an array, its shape does not match the layout, or it holds an
                invalid Semantic ID.
        """
        return torch.from_numpy(np.concatenate(self._parts(packed), axis=1))

    def forward(self, rows: Tensor) -> Tensor:
        """Embed items by the rows of their n-grams.

        Args:
            rows: int64 (..., n_grams), of any shape: `rows(packed)[items]` for items of shape (...), such as
                histories (batch, length).

        Returns:
            float (..., dim).

        Raises:
            ValueError: if the last dimension is not the number of n-grams.
        """
        if rows.shape[-1:] != (sum(self.grams),):
            raise ValueError(
                f"`rows` must be (..., {sum(self.grams)}), one row per n-gram, got {tuple(rows.shape)}. "
                "Pass the output of `SidEmbedding.rows`, indexed by item"
            )
        flat = rows.reshape(-1, rows.shape[-1])  # (n, n_grams)
        parts = torch.split(flat, self.grams, dim=1)
        summed = [table(part) for table, part in zip(self.tables, parts, strict=True)]  # each (n, dim)
        return torch.stack(summed).sum(dim=0).reshape(*rows.shape[:-1], self.dim)  # (..., dim)


@checked
def id_rows(item_ids: pl.Series, *, num_embeddings: Count, seed: Seed = 0, mode: Mode = "mix") -> Rows:
    """Hash item ids to rows of a table: the random-hash baseline of Semantic IDs.

    Integers are hashed directly, strings by their BLAKE2b digest of 8 bytes.

    Args:
        item_ids: integers or strings, (n,).
        num_embeddings: size of the table.
        seed: seed of the hash.
        mode: mode of the hash, see `sidkit.ngram_rows`.

    Returns:
        The rows, int64 (n, 1).

    Raises:
        DataError: if an id is missing or beyond int64, or the ids are neither integers nor strings.
    """
    if item_ids.null_count():
        raise DataError(
            f"item ids are missing: expected an id in every row, got {item_ids.null_count()} nulls."
        )
    if item_ids.dtype == pl.String:
        digests = (hashlib.blake2b(each.encode(), digest_size=8).digest() for each in item_ids)
        numbers = np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)
    elif item_ids.dtype.is_integer():
        if item_ids.cast(pl.Int64, strict=False).null_count():
            raise DataError("an item id is out of range: expected integers that fit int64, got one beyond.")
        numbers = item_ids.cast(pl.Int64).to_numpy().view(np.uint64)
    else:
        raise DataError(f"item ids must be integers or strings, got {item_ids.dtype}")
    return ngram_rows(numbers, ID_LAYOUT, kind=[(0, 4)], num_embeddings=num_embeddings, seed=seed, mode=mode)


@checked
def jagged_rows(
    rows: Annotated[Rows, Shape("items", "grams")],
    offsets: Annotated[npt.NDArray[np.integer], Shape("offsets")],
) -> tuple[Rows, Rows]:
    """Convert rows of variable-length lists of items to a jagged tensor, without a copy.

    The result has the format of `torch.nn.functional.embedding_bag`, and of one key of a
    `KeyedJaggedTensor` of TorchRec.

    Args:
        rows: int64 (items, n_grams), C-contiguous: the rows of the items of all lists, concatenated.
        offsets: int (lists + 1,), the start of each list in items, and the end of the last one.

    Returns:
        The values, int64 (items * n_grams,), and the offsets, int64 (lists + 1,), in values.

    Raises:
        DataError: if the offsets do not increase from 0 to the number of items.
    """
    bounds = offsets.astype(np.int64)
    if len(bounds) == 0 or bounds[0] != 0 or bounds[-1] != len(rows) or np.any(np.diff(bounds) < 0):
        raise DataError(f"offsets must increase from 0 to {len(rows)}, the number of items, got {offsets!r}")
    return rows.reshape(-1), bounds * rows.shape[1]
