"""Array types of tokenizers, and checks of vectors that come from outside."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sidkit.errors import DataError

__all__ = [
    "Codes",
    "State",
    "VectorOverflowError",
    "Vectors",
    "check_learnable",
    "check_overflow",
    "check_shape",
    "check_vectors",
]

Vectors: TypeAlias = npt.NDArray[np.float32]
Codes: TypeAlias = npt.NDArray[np.uint16]
#: Learned arrays by name, as they are saved.
State: TypeAlias = dict[str, npt.NDArray[Any]]

#: Largest magnitude to learn from. Sums of codewords stay below the limit of float32, 3.4e38.
_LARGEST = 1e36


class VectorOverflowError(DataError):
    """A vector so large that values computed from it overflow float32.

    Args:
        row: row of the vector.
        what: name of the values, in the plural.
    """

    def __init__(self, row: int, what: str) -> None:
        super().__init__(
            f"row {row} of `x` is too large: expected finite {what}, got an overflow of float32. "
            "Scale the vectors."
        )
        self.row = row
        self.what = what


def check_shape(x: npt.ArrayLike, dim: int | None = None) -> npt.NDArray[np.floating[Any]]:
    """Return `x` as a float array (n, dim), without a copy or a look at its values.

    Raises:
        DataError: if `x` is not a two-dimensional float array, or has another number of dimensions than
            `dim`.
    """
    array = np.asarray(x)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise DataError(
            f"vectors have the wrong type or shape: expected a float array (n, dim), got {array.dtype} "
            f"{array.shape}. Convert them with np.asarray(x, dtype=np.float32)."
        )
    if array.shape[1] != (dim or array.shape[1]) or not array.shape[1]:
        raise DataError(
            f"vectors have the wrong number of dimensions: expected {dim or 'at least 1'}, got "
            f"{array.shape[1]}. Use the encoder that made the vectors of `fit`."
        )
    return array


def check_vectors(x: npt.ArrayLike, dim: int | None = None, rows: Sequence[int] | None = None) -> Vectors:
    """Return `x` as C-contiguous float32 (n, dim).

    Args:
        x: vectors.
        dim: expected number of dimensions.
        rows: number of each vector in messages; by default its row in `x`.

    Raises:
        DataError: if `x` is not a two-dimensional float array, has another number of dimensions than `dim`,
            or has a value that float32 cannot hold.
    """
    array = check_shape(x, dim)
    with np.errstate(over="ignore"):  # values beyond float32 become infinite and are refused below
        vectors = np.ascontiguousarray(array, dtype=np.float32)
    # A row sum is finite only if all entries are, and is far cheaper to check.
    suspects = np.flatnonzero(~np.isfinite(vectors.sum(axis=1, dtype=np.float64)))
    if len(suspects):
        row = int(suspects[0])
        column = int(np.argmin(np.isfinite(vectors[row])))
        raise DataError(
            f"vectors are not finite: expected finite float32 values, got {array[row, column]} in row "
            f"{row if rows is None else rows[row]} at dimension {column}. Drop or repair that row."
        )
    return vectors


def check_learnable(x: Vectors, rows: Sequence[int] | None = None) -> None:
    """Raise DataError if sums of finite vectors, float32 (n, dim) with n > 0, may overflow.

    `rows` is the number of each vector in the message, by default its row in `x`.
    """
    most = np.maximum(x.max(axis=1), -x.min(axis=1))
    row = int(most.argmax())
    if most[row] > _LARGEST:
        raise DataError(
            f"row {row if rows is None else rows[row]} of `x` is too large to learn from: expected values "
            f"within ±{_LARGEST:g}, whose sums fit float32, got {most[row]:.3g}. Scale the vectors."
        )


def check_overflow(z: Vectors, what: str) -> None:
    """Raise VectorOverflowError if values computed row by row from finite vectors are not finite.

    Args:
        z: float32 (n, any).
        what: name of these values, in the plural.
    """
    rows = np.flatnonzero(~np.isfinite(z.sum(axis=1, dtype=np.float64)))
    if len(rows):
        raise VectorOverflowError(int(rows[0]), what)
