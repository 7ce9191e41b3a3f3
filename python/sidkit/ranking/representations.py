"""Item representations of a ranking model, all with the same number of parameters."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sidkit._arguments import Bounds, Count, Seed, Shape, Width, checked
from sidkit._core import ngram_rows
from sidkit.errors import ConfigError
from sidkit.ranking.embedding import id_rows, jagged_rows
from sidkit.ranking.items import RankedItems
from sidkit.ranking.pieces import Pieces
from sidkit.ranking.settings import RankSettings

__all__ = ["REPRESENTATIONS", "ContentVectors", "TableVectors", "item_vectors"]

# In the order of reports: the two baselines, then the kinds of n-gram.
REPRESENTATIONS = ("random", "content", "unigram", "bigram", "all", "prefix", "pieces")


@checked
class TableVectors(nn.Module):
    """Item vectors that are sums of rows of one table.

    Args:
        values: int64 (total,), the rows of all items, concatenated.
        offsets: int64 (items + 1,), the start of each item in `values`, and the end of the last one.
        num_embeddings: size of the table.
        dim: length of the vectors.
    """

    values: Tensor
    offsets: Tensor

    def __init__(
        self,
        values: Annotated[npt.NDArray[np.int64], Shape("values"), Bounds(ge=0)],
        offsets: Annotated[npt.NDArray[np.int64], Shape("offsets"), Bounds(ge=0)],
        *,
        num_embeddings: Count,
        dim: Width,
    ) -> None:
        super().__init__()
        self.register_buffer("values", torch.from_numpy(np.ascontiguousarray(values)), persistent=False)
        self.register_buffer("offsets", torch.from_numpy(np.ascontiguousarray(offsets)), persistent=False)
        # The sum over the rows of an item has the usual standard deviation.
        grams = max(1.0, len(values) / max(1, len(offsets) - 1))
        self.table = nn.Parameter(torch.randn(num_embeddings, dim) * (0.01 / grams) ** 0.5)

    def forward(self) -> Tensor:
        """Return the vectors of all items, (items, dim)."""
        bags: Tensor = F.embedding_bag(
            self.values, self.table, self.offsets, mode="sum", include_last_offset=True
        )
        return bags


@checked
class ContentVectors(nn.Module):
    """Item vectors computed from content vectors by two layers.

    Args:
        vectors: float32 (items, content dim).
        dim: length of the output vectors.
        budget: approximate number of parameters, which sets the width of the hidden layer.
    """

    content: Tensor

    def __init__(
        self,
        vectors: Annotated[npt.NDArray[np.float32], Shape("items", "content")],
        *,
        dim: Width,
        budget: Count,
    ) -> None:
        super().__init__()
        width = max(1, round((budget - dim) / (vectors.shape[1] + 1 + dim)))
        # Standardized columns train at the same speed for every text encoder.
        scaled = (vectors - vectors.mean(axis=0)) / (vectors.std(axis=0) + 1e-6)
        self.register_buffer("content", torch.from_numpy(scaled.astype(np.float32)), persistent=False)
        self.layers = nn.Sequential(nn.Linear(vectors.shape[1], width), nn.ReLU(), nn.Linear(width, dim))

    def forward(self) -> Tensor:
        """Return the vectors of all items, (items, dim)."""
        made: Tensor = self.layers(self.content)
        return made


@checked
def item_vectors(
    name: str,
    items: RankedItems,
    *,
    known: npt.NDArray[np.bool_],
    settings: RankSettings,
    seed: Seed = 0,
) -> nn.Module:
    """Build a representation with about `num_embeddings * dim` parameters.

    Args:
        name: `random` (a hash of the id), `content`, a kind of n-gram (see `sidkit.ids.ngram_windows`), or
            `pieces`.
        items: the catalogue; Semantic IDs are needed for n-grams and pieces.
        known: bool (items,), the items of the training period; pieces are learned from these.
        settings: `num_embeddings` and `dim` are used.
        seed: seed of the hash and of the initial parameters.

    Raises:
        ConfigError: if the representation is unknown, Semantic IDs are missing, or `num_embeddings` is too
            small for `pieces`.
    """
    torch.manual_seed(seed)
    size, dim = settings.num_embeddings, settings.dim
    if name == "content":
        return ContentVectors(items.vectors, dim=dim, budget=size * dim)
    if name == "random":
        found = id_rows(items.item_ids, num_embeddings=size, seed=seed)
    else:
        codes, layout = items.semantic_ids()
        if name == "pieces":
            values, offsets = Pieces(layout, size).fit(codes[known]).encode(codes)
            return TableVectors(values, offsets, num_embeddings=size, dim=dim)
        try:
            found = ngram_rows(layout.pack(codes), layout, kind=name, num_embeddings=size, seed=seed)
        except ValueError as error:
            names = ", ".join(REPRESENTATIONS)
            raise ConfigError(f"unknown representation `{name}`: expected one of {names}. {error}") from error
    values, offsets = jagged_rows(found, np.arange(len(found) + 1))
    return TableVectors(values, offsets, num_embeddings=size, dim=dim)
