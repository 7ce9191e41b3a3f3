"""Text vectors of batches of items."""

import os
from collections.abc import Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from sidkit.embed import embed_texts, model_directory
from sidkit.embed.model import model_digest
from sidkit.embed.text import template_fields, write_texts
from sidkit.scale.batches.base import BatchFunction
from sidkit.scale.batches.vectors import list_column

__all__ = ["EmbedBatch"]


class EmbedBatch(BatchFunction):
    """Vectors of item texts from a sentence-transformers model.

    The last bits of a vector depend on the texts that share its forward pass, as in every matrix library.
    Engines that divide rows in the same way give the same bits.

    Args:
        model: `minilm`, the directory of a model, or a name on the Hugging Face hub; see `embed_items`.
        template: text of an item with column names in braces, such as `"{title} ({year}). {brand}"`.
        keep: columns to copy, such as the item id.
        max_tokens: length at which a text is truncated, in tokens; None for the limit of the model.
        batch_size: texts per forward pass.

    Example:
        >>> embed = EmbedBatch(template="{title}. {brand}")
        >>> embed.columns
        ('item_id', 'title', 'brand')
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "minilm",
        *,
        template: str,
        keep: Sequence[str] = ("item_id",),
        max_tokens: int | None = None,
        batch_size: int = 64,
    ) -> None:
        self.model = os.fspath(model)
        self.template = template
        self.keep = tuple(keep)
        self.max_tokens = max_tokens
        self.batch_size = batch_size

    def _reads(self) -> Sequence[str]:
        return template_fields(self.template)

    def _fields(self, source: pa.Schema) -> list[pa.Field]:
        return [pa.field("vector", pa.list_(pa.float32()))]

    def _compute(self, table: pa.Table) -> list[pa.Array]:
        texts = write_texts(pl.DataFrame(table.select(self._reads())), self.template)
        vectors = embed_texts(texts, model=self.model, batch_size=self.batch_size, max_tokens=self.max_tokens)
        return [list_column(vectors)]

    def _version(self) -> Any:
        return model_digest(model_directory(self.model))
