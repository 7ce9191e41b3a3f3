"""Vectors on disk, of which every worker reads its own rows."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.data.parquet.fragments import Fragment, divide, read_batches
from sidkit.errors import DataError
from sidkit.scale.batches.vectors import vector_rows
from sidkit.tokenizers.parts.arrays import Vectors, check_shape, check_vectors

__all__ = ["VectorSource"]

_BATCH = 1 << 15


@dataclass(frozen=True)
class VectorSource:
    """Vectors in Parquet files or a `.npy` file.

    Attributes:
        path: `.npy` file of floats (n, dim), Parquet file, or directory of Parquet files.
        column: column of the vectors in Parquet files, lists of floats.
    """

    path: str
    column: str = "vector"

    @cached_property
    def rows(self) -> int:
        """Number of vectors."""
        return sum(each.rows for each in self._fragments) if self._array is None else len(self._array)

    def read(self, start: int, stop: int) -> Vectors:
        """Read the vectors of consecutive rows, float32 (stop - start, dim).

        Raises:
            DataError: if vectors are not finite floats of one length.
        """
        if self._array is not None:
            return check_vectors(self._array[start:stop], rows=range(start, stop))
        found: Vectors | None = None
        for row, batch in self._batches(start, stop):
            block = vector_rows(batch, self.column)
            if found is None:
                found = np.empty((stop - start, block.shape[1]), np.float32)
            if block.shape[1] != found.shape[1]:
                raise DataError(
                    f"vectors of `{self.path}` have different lengths: expected {found.shape[1]} numbers, "
                    f"got {block.shape[1]} in row {row}. Use one encoder for all items."
                )
            numbers = range(row, row + len(block))
            found[row - start : row - start + len(block)] = check_vectors(block, rows=numbers)
        if found is None:
            raise DataError(f"`{self.path}` has no vectors in the rows {start} to {stop}. Check the source.")
        return found

    def _batches(self, start: int, stop: int) -> Any:
        """Yield pairs of the number of the first row and a column, together the rows `start` to `stop`."""
        for fragment in self._fragments:
            row = fragment.start
            if row >= stop or row + fragment.rows <= start:
                continue
            for batch in read_batches(fragment, [self.column], _BATCH):
                begin, end = max(start - row, 0), min(stop - row, len(batch))
                if begin < end:
                    yield row + begin, batch.column(0).slice(begin, end - begin)
                row += len(batch)

    @cached_property
    def _array(self) -> npt.NDArray[np.floating[Any]] | None:
        if not self.path.endswith(".npy"):
            return None
        try:
            return check_shape(np.load(self.path, mmap_mode="r"))
        except (OSError, ValueError) as error:
            raise DataError(f"`{self.path}` cannot be read: {error}. Write it with np.save.") from error

    @cached_property
    def _fragments(self) -> list[Fragment]:
        return divide(self.path, 1)
