"""Contract of functions of Arrow batches."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from sidkit.errors import ConfigError, DataError

__all__ = ["BatchFunction", "file_version"]


class BatchFunction(ABC):
    """Base class of functions that map the rows of an Arrow batch.

    An instance is picklable and holds settings and a path only. The model is loaded when the first batch of a
    process arrives, and shared by all equal functions of the process. `function(batch)` suits
    `Dataset.map_batches` of Ray with `batch_format="pyarrow"`; `function.map` and `function.schema` suit
    `DataFrame.mapInArrow` of Spark. Row i of the result belongs to row i of the batch, and columns have types
    that every engine knows: no unsigned integers, no lists of fixed size.

    Attributes:
        keep: columns that are copied to the result.
    """

    keep: tuple[str, ...]

    def __call__(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        """Map one batch.

        Args:
            batch: rows with the columns that the function reads and those of `keep`.

        Returns:
            One row per row of `batch`: the columns of `keep`, then the results; see `schema`.

        Raises:
            DataError: if a column is missing, or has an invalid type or value.
        """
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        self._check_columns(table.schema)
        fields = self._fields(table.schema)
        columns = [*(table.column(name) for name in self.keep)]
        columns += self._compute(table) if len(table) else [pa.array([], field.type) for field in fields]
        return pa.Table.from_arrays(columns, schema=self.schema(table.schema))

    def map(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Map an iterator of batches to one of results, as `mapInArrow` of Spark requires."""
        for batch in batches:
            yield from self(batch).combine_chunks().to_batches()

    def schema(self, source: pa.Schema) -> pa.Schema:
        """Return the schema of the results for batches with the schema `source`.

        Raises:
            DataError: if a column is missing.
        """
        self._check_columns(source)
        return pa.schema([*(source.field(name) for name in self.keep), *self._fields(source)])

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the function needs, without repetitions."""
        return tuple(dict.fromkeys((*self.keep, *self._reads())))

    def describe(self) -> dict[str, Any]:
        """Return what determines the results, as JSON values; a job resumes only if it is equal."""
        settings = vars(self).items()
        listed = {name: list(value) if isinstance(value, tuple) else value for name, value in settings}
        return {"function": type(self).__name__, **listed, "version": self._version()}

    @abstractmethod
    def _reads(self) -> Sequence[str]:
        """Columns from which the results are computed."""

    @abstractmethod
    def _fields(self, source: pa.Schema) -> list[pa.Field]:
        """Fields of the results."""

    @abstractmethod
    def _compute(self, table: pa.Table) -> list[pa.Array]:
        """Compute the results of a table with at least one row."""

    @abstractmethod
    def _version(self) -> Any:
        """Identify the content of the path."""

    def _check_columns(self, source: pa.Schema) -> None:
        missing = [name for name in self.columns if name not in source.names]
        if missing:
            raise DataError(
                f"a column is missing: expected {', '.join(self.columns)}, got {', '.join(source.names)} "
                f"without `{missing[0]}`. Rename the column, or name it in {type(self).__name__}."
            )


def file_version(path: str | Path) -> tuple[str, int, int]:
    """Identify the present content of a file: path, size, and time of the last change.

    Raises:
        ConfigError: if there is no such file.
    """
    place = Path(path)
    if not place.is_file():
        raise ConfigError(f"there is no file `{place}`: expected a file of sidkit. Correct the path.")
    status = place.stat()
    return str(place), status.st_size, status.st_mtime_ns
