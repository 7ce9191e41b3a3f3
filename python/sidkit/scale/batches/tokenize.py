"""Tokenization of batches of vectors."""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sidkit.scale.batches.base import BatchFunction, file_version
from sidkit.scale.batches.vectors import list_column, vector_rows
from sidkit.tokenizers import Tokenizer, load_tokenizer

__all__ = ["TokenizeBatch"]

_FILE = "tokenizer.safetensors"


class TokenizeBatch(BatchFunction):
    """Codes of item vectors.

    Codes do not depend on the batch: any engine gives the codes of `Tokenizer.encode`. Collisions need all
    items; `sidkit.scale.resolve_suffixes` handles them after the last batch.

    Args:
        path: file of a tokenizer, or a run directory with one.
        vector: column of the vectors, lists of floats.
        keep: columns to copy, such as the item id.
        threads: threads per batch; None uses all cores. Use 1 if there is a worker for every core.

    Example:
        >>> tokenize = TokenizeBatch("runs/shop/tokenizer.safetensors")  # doctest: +SKIP
        >>> tokenize(batch)["codes"]  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        vector: str = "vector",
        keep: Sequence[str] = ("item_id",),
        threads: int | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self.vector = vector
        self.keep = tuple(keep)
        self.threads = threads

    @property
    def tokenizer(self) -> Tokenizer:
        """Tokenizer of the path, loaded on first use."""
        return _loaded(file_version(self._file), self.threads)

    def describe(self) -> dict[str, Any]:
        """Return what determines the results; the number of threads does not."""
        described = super().describe()
        del described["threads"]
        return described

    @property
    def _file(self) -> Path:
        place = Path(self.path)
        return place / _FILE if place.is_dir() else place

    def _reads(self) -> Sequence[str]:
        return (self.vector,)

    def _fields(self, source: pa.Schema) -> list[pa.Field]:
        return [pa.field("codes", pa.list_(pa.int32()))]

    def _compute(self, table: pa.Table) -> list[pa.Array]:
        codes = self.tokenizer.encode(vector_rows(table.column(self.vector), self.vector))
        return [list_column(codes.astype(np.int32))]

    def _version(self) -> str:
        return self.tokenizer.fingerprint


@lru_cache(maxsize=4)
def _loaded(version: tuple[str, int, int], threads: int | None) -> Tokenizer:
    tokenizer = load_tokenizer(version[0])
    if threads is not None and "threads" in tokenizer.get_params(deep=False):
        tokenizer.set_params(threads=threads)
    return tokenizer
