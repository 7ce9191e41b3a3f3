"""Conversion between Arrow columns of lists and NumPy arrays of vectors."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sidkit.errors import DataError

__all__ = ["list_column", "vector_rows"]


def vector_rows(column: pa.ChunkedArray, name: str) -> npt.NDArray[np.floating[Any]]:
    """Return a column of lists of floats as an array, float (n, dim), without a copy where Arrow allows it.

    Raises:
        DataError: if the values are not lists of floats, a value is null, or lengths differ.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # combine_chunks keeps several chunks of a very large column
        array = pa.concat_arrays(array.chunks)
    kind = array.type
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not listed or not pa.types.is_floating(kind.value_type):
        raise DataError(
            f"the column `{name}` has the wrong type: expected lists of floats, got {kind}. "
            "Write one list of float32 per item."
        )
    values = array.flatten()
    if array.null_count or values.null_count:
        raise DataError(
            f"the column `{name}` has missing values: expected a complete vector in every row, got "
            f"{array.null_count + values.null_count} nulls. Drop these rows."
        )
    dim = kind.list_size if pa.types.is_fixed_size_list(kind) else _equal_length(array, name)
    rows: npt.NDArray[np.floating[Any]] = values.to_numpy(zero_copy_only=False).reshape(len(array), dim)
    return rows


def list_column(rows: npt.NDArray[Any]) -> pa.ListArray:
    """Return an array (n, width) as a column of lists."""
    count, width = rows.shape
    offsets = (
        np.arange(0, count * width + 1, width, dtype=np.int32) if width else np.zeros(count + 1, np.int32)
    )
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.ascontiguousarray(rows).reshape(-1)))


def _equal_length(array: Any, name: str) -> int:
    lengths = np.diff(array.offsets.to_numpy())
    if (lengths != lengths[0]).any():
        row = int(np.argmax(lengths != lengths[0]))
        raise DataError(
            f"vectors of the column `{name}` have different lengths: expected {lengths[0]} numbers, got "
            f"{lengths[row]} in row {row} of the batch. Use one encoder for all items."
        )
    return int(lengths[0])
