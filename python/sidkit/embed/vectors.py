"""Vectors made elsewhere, brought into the order of the catalogue."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors import SafetensorError, safe_open

from sidkit.errors import DataError

__all__ = ["load_vectors"]

FLOATS = (np.float16, np.float32, np.float64)


def load_vectors(
    path: str | os.PathLike[str], item_ids: pl.Series | Sequence[Any]
) -> npt.NDArray[np.float32]:
    """Load one vector per item.

    - `.npy`: floats (n, dim), row k for the k-th item of the catalogue.
    - `.safetensors`: the same, as the tensor `embeddings`, or as the only one there is.
    - `.parquet`: a column `item_id` and one column of lists of floats, in any order; more items than the
      catalogue has do no harm.

    Args:
        path: one of those files; floats of 16, 32 or 64 bits.
        item_ids: the ids of the catalogue, n of them, as in `Dataset.item_ids`.

    Returns:
        f32 (n, dim).

    Raises:
        DataError: if the file is not such a file, an item has no vector, or a number is not finite.
    """
    path, ids = Path(path), pl.Series("item_id", item_ids)
    readers = {".npy": _read_npy, ".safetensors": _read_safetensors, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise DataError(f"vectors must come as .npy, .safetensors or .parquet; got `{path}`")
    if not path.is_file():
        raise DataError(f"there is no file `{path}`")
    vectors = readers[path.suffix](path, ids)
    if vectors.ndim != 2 or vectors.shape[1] == 0 or vectors.dtype not in FLOATS:
        raise DataError(
            f"`{path}` must hold floats of 16, 32 or 64 bits, one row per item; "
            f"got {vectors.dtype} of shape {vectors.shape}"
        )
    if len(vectors) != len(ids):
        raise DataError(
            f"`{path}` has {len(vectors)} rows for {len(ids)} items; row k must belong to the k-th item of "
            "the catalogue, after any filter; hint: a .parquet with a column `item_id` may have more items"
        )
    out = np.require(vectors, np.float32, ["C", "W"])
    finite = np.isfinite(out).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise DataError(
            f"`{path}` has {int((~finite).sum())} vectors that are not finite as float32; "
            f"the first is row {row}, item {ids[row]!r}"
        )
    return out


def _read_npy(path: Path, ids: pl.Series) -> npt.NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"`{path}` is not a readable .npy file: {error}") from error


def _read_safetensors(path: Path, ids: pl.Series) -> npt.NDArray[Any]:
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            if "embeddings" not in names and len(names) != 1:
                there = ", ".join(names) or "none"
                raise DataError(f"`{path}` must hold a tensor `embeddings`, or only one; it has {there}")
            return np.asarray(file.get_tensor("embeddings" if "embeddings" in names else names[0]))
    except (SafetensorError, OSError, TypeError) as error:
        raise DataError(f"`{path}` is not a readable .safetensors file: {error}") from error


def _read_parquet(path: Path, ids: pl.Series) -> npt.NDArray[Any]:
    try:
        schema = pl.read_parquet_schema(path)
        columns = [name for name, dtype in schema.items() if isinstance(dtype, pl.List | pl.Array)]
        if "item_id" not in schema or len(columns) != 1:
            raise DataError(
                f"`{path}` must have a column `item_id` and one column of lists; it has {_described(schema)}"
            )
        table = pl.read_parquet(path, columns=["item_id", *columns])
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"`{path}` is not a readable .parquet file: {error}") from error
    vectors = table[columns[0]]
    rows = _rows_of(path, ids, table["item_id"])
    width = _width(path, table["item_id"], vectors)
    inner = schema[columns[0]].inner  # type: ignore[attr-defined]  # a list or an array, as asked above
    if not inner.is_float():
        raise DataError(
            f"column `{columns[0]}` of `{path}` must hold lists of floats; got {schema[columns[0]]}"
        )
    flat = vectors.explode()
    if flat.null_count():
        raise DataError(f"column `{columns[0]}` of `{path}` has {flat.null_count()} nulls inside its lists")
    return np.asarray(flat.to_numpy().reshape(-1, width)[rows])


def _rows_of(path: Path, ids: pl.Series, given: pl.Series) -> npt.NDArray[np.int64]:
    if given.is_duplicated().any():
        twice = given.filter(given.is_duplicated())
        raise DataError(f"`{path}` has several vectors for one item, such as {twice[0]!r}")
    if ids.dtype.is_integer() != given.dtype.is_integer():
        raise DataError(f"`item_id` is {given.dtype} in `{path}` and {ids.dtype} in the catalogue")
    rows = {each: row for row, each in enumerate(given.to_list())}
    missing = [each for each in ids.to_list() if each not in rows]
    if missing:
        raise DataError(f"`{path}` has no vector for {len(missing)} items, such as {missing[0]!r}")
    return np.array([rows[each] for each in ids.to_list()], dtype=np.int64)


def _width(path: Path, given: pl.Series, vectors: pl.Series) -> int:
    lengths = (vectors.list.len() if isinstance(vectors.dtype, pl.List) else vectors.arr.len()).fill_null(0)
    usual = max(lengths.mode().to_list())
    odd = (lengths != usual).arg_true()
    if len(odd) or usual == 0:
        first = int(odd[0]) if len(odd) else 0
        raise DataError(
            f"the vectors of `{path}` must be equally long, and not empty; most have {usual} numbers, "
            f"that of item {given[first]!r} has {lengths[first]}"
        )
    return int(usual)


def _described(schema: Mapping[str, pl.DataType]) -> str:
    return ", ".join(f"`{name}` ({dtype})" for name, dtype in schema.items()) or "no columns"
