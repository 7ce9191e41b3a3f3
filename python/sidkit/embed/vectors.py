"""Precomputed item vectors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors import SafetensorError, safe_open

from sidkit._arguments import checked
from sidkit._files import check_seal
from sidkit._tables import read_parquet, read_parquet_schema
from sidkit._vectors import first_non_finite
from sidkit.data.id_columns import id_series
from sidkit.errors import DataError, FormatError

__all__ = ["load_vectors"]

FLOATS = (np.float16, np.float32, np.float64)


@overload
def load_vectors(
    path: str | os.PathLike[str],
    item_ids: pl.Series | Sequence[int | str],
    *,
    memory_map: Literal[False] = False,
) -> npt.NDArray[np.float32]: ...


@overload
def load_vectors(
    path: str | os.PathLike[str], item_ids: pl.Series | Sequence[int | str], *, memory_map: bool
) -> npt.NDArray[np.floating[Any]]: ...


@checked
def load_vectors(
    path: str | os.PathLike[str], item_ids: pl.Series | Sequence[int | str], *, memory_map: bool = False
) -> npt.NDArray[np.floating[Any]]:
    """Load one vector per item, in the order of the catalogue.

    - `.npy`: floats (n, dim), row k for the k-th item of the catalogue.
    - `.safetensors`: the same as the tensor `embeddings`, or as the only tensor.
    - `.parquet`: a column `item_id` and one column of lists of floats, in any order; additional items are
      ignored.

    Args:
        path: one of these files; floats of 16, 32 or 64 bits.
        item_ids: ids of the n items of the catalogue, such as `Dataset.item_ids`.
        memory_map: leave the vectors in the file, for catalogues larger than memory; only for `.npy` files of
            float16 or float32 in C order.

    Returns:
        float32 (n, dim); with `memory_map`, a read-only array of the type of the file.

    Raises:
        DataError: if the file is invalid or cannot be memory-mapped, an item has no vector, or a number is
            not finite.
    """
    path, ids = Path(path), id_series(item_ids, "item_id")
    readers = {".npy": _read_npy, ".safetensors": _read_safetensors, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise DataError(
            f"the format of the vectors is unknown: expected .npy, .safetensors or .parquet, got `{path}`. "
            "Convert the file."
        )
    if not path.is_file():
        raise DataError(f"there is no file `{path}`: expected a file of vectors. Correct the path.")
    vectors = readers[path.suffix](path, ids)
    if vectors.ndim != 2 or vectors.shape[1] == 0 or vectors.dtype not in FLOATS:
        raise DataError(
            f"`{path}` has no item vectors: expected floats of 16, 32 or 64 bits (items, dim), "
            f"got {vectors.dtype} of shape {vectors.shape}. Convert it."
        )
    if len(vectors) != len(ids):
        raise DataError(
            f"`{path}` does not match the catalogue: expected {len(ids)} rows, row k for the k-th item after "
            f"any filter, got {len(vectors)}. Use .parquet with a column `item_id`, which may have more."
        )
    if memory_map:
        return _checked_map(path, vectors, ids)
    out = np.require(vectors, np.float32, ["C", "W"])
    finite = np.isfinite(out).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise DataError(
            f"`{path}` has invalid vectors: expected finite float32 numbers, got others in "
            f"{int((~finite).sum())} rows, the first of them row {row}, item {ids[row]!r}. Correct the file."
        )
    return out


def _checked_map(
    path: Path, vectors: npt.NDArray[np.floating[Any]], ids: pl.Series
) -> npt.NDArray[np.floating[Any]]:
    """Return memory-mapped vectors after a look at every value, one block at a time."""
    if path.suffix != ".npy" or vectors.dtype == np.float64 or not vectors.flags.c_contiguous:
        order = "C" if vectors.flags.c_contiguous else "Fortran"
        raise DataError(
            f"`{path}` cannot be memory-mapped: expected a .npy file of float16 or float32 in C order, got "
            f"{path.suffix} of {vectors.dtype} in {order} order. Convert it, or leave `memory_map` out."
        )
    row = first_non_finite(vectors)
    if row is not None:
        raise DataError(
            f"`{path}` has invalid vectors: expected finite float32 numbers, got others in row {row}, item "
            f"{ids[row]!r}. Correct the file."
        )
    return vectors


def _read_npy(path: Path, ids: pl.Series) -> npt.NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError, SyntaxError, TokenError, OverflowError, RecursionError) as error:
        raise DataError(f"`{path}` is not a readable .npy file: {error}. Write it again.") from error


def _read_safetensors(path: Path, ids: pl.Series) -> npt.NDArray[Any]:
    try:
        check_seal(path)
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            if "embeddings" not in names and len(names) != 1:
                there = ", ".join(names) or "none"
                raise DataError(
                    f"`{path}` has no unique tensor: expected `embeddings` or a single tensor, got {there}. "
                    "Name the tensor `embeddings`."
                )
            return np.asarray(file.get_tensor("embeddings" if "embeddings" in names else names[0]))
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        if isinstance(error, FormatError | DataError):
            raise
        raise DataError(f"`{path}` is not a readable .safetensors file: {error}. Write it again.") from error


def _read_parquet(path: Path, ids: pl.Series) -> npt.NDArray[Any]:
    try:
        schema = read_parquet_schema(path)
        columns = [name for name, dtype in schema.items() if isinstance(dtype, pl.List | pl.Array)]
        if "item_id" not in schema or len(columns) != 1:
            raise DataError(
                f"`{path}` has no vectors by item: expected a column `item_id` and one column of lists, "
                f"got {_described(schema)}. Rename or drop columns."
            )
        table = read_parquet(path, ["item_id", *columns])
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"`{path}` is not a readable .parquet file: {error}. Write it again.") from error
    vectors = table[columns[0]]
    rows = _rows_of(path, ids, table["item_id"])
    width = _width(path, table["item_id"], vectors)
    inner = schema[columns[0]].inner  # type: ignore[attr-defined]  # a list or an array, as checked above
    if not inner.is_float():
        raise DataError(
            f"column `{columns[0]}` of `{path}` has the wrong type: expected lists of floats, "
            f"got {schema[columns[0]]}. Cast it."
        )
    flat = vectors.explode()
    if flat.null_count():
        raise DataError(
            f"column `{columns[0]}` of `{path}` has gaps: expected a number everywhere, "
            f"got {flat.null_count()} nulls inside its lists. Fill them."
        )
    return np.asarray(flat.to_numpy().reshape(-1, width)[rows])


def _rows_of(path: Path, ids: pl.Series, given: pl.Series) -> npt.NDArray[np.int64]:
    if given.is_duplicated().any():
        twice = given.filter(given.is_duplicated())
        raise DataError(
            f"`{path}` has repeated items: expected one vector per item, got several for {twice[0]!r}. "
            "Keep one."
        )
    if ids.dtype.is_integer() != given.dtype.is_integer():
        raise DataError(
            f"`item_id` of `{path}` has the wrong type: expected {ids.dtype} as in the catalogue, "
            f"got {given.dtype}. Cast it."
        )
    rows = {each: row for row, each in enumerate(given.to_list())}
    missing = [each for each in ids.to_list() if each not in rows]
    if missing:
        raise DataError(
            f"`{path}` is incomplete: expected a vector for each of {len(ids)} items, got none for "
            f"{len(missing)}, such as {missing[0]!r}. Add them."
        )
    return np.array([rows[each] for each in ids.to_list()], dtype=np.int64)


def _width(path: Path, given: pl.Series, vectors: pl.Series) -> int:
    lengths = (vectors.list.len() if isinstance(vectors.dtype, pl.List) else vectors.arr.len()).fill_null(0)
    usual = max(lengths.mode().to_list())
    odd = (lengths != usual).arg_true()
    if len(odd) or usual == 0:
        first = int(odd[0]) if len(odd) else 0
        raise DataError(
            f"the vectors of `{path}` differ in width: expected {max(usual, 1)} numbers, as most have, "
            f"got {lengths[first]} for item {given[first]!r}. Correct the file."
        )
    return int(usual)


def _described(schema: Mapping[str, pl.DataType]) -> str:
    return ", ".join(f"`{name}` ({dtype})" for name, dtype in schema.items()) or "no columns"
