"""Parquet sources of any size, divided into fragments that workers read by themselves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

from sidkit.errors import DataError

__all__ = ["Fragment", "divide", "file_system", "parquet_files", "read_batches", "read_schema"]


@dataclass(frozen=True)
class Fragment:
    """Consecutive row groups of one Parquet file.

    Attributes:
        number: number of the fragment in its source.
        path: the file, a path or a URI.
        first: its first row group.
        stop: the row group after its last one.
        rows: number of rows.
        start: number of rows in the source before it.
    """

    number: int
    path: str
    first: int
    stop: int
    rows: int
    start: int


def file_system(place: str) -> tuple[FileSystem, str]:
    """Return the file system of a local path or a URI such as `s3://bucket/items`, and the path in it."""
    if "://" not in place:
        return LocalFileSystem(), str(Path(place))
    found: tuple[FileSystem, str] = FileSystem.from_uri(place)
    return found


def parquet_files(source: str) -> list[str]:
    """List the Parquet files of a file or a directory, in the order of their names.

    Files that begin with `_` or `.` and subdirectories are ignored.

    Raises:
        DataError: if there is no Parquet file.
    """
    system, path = file_system(source)
    info = system.get_file_info(path)
    if info.type == FileType.File:
        return [source]
    found = [] if info.type == FileType.NotFound else system.get_file_info(FileSelector(path))
    names = sorted(
        each.base_name
        for each in found
        if each.type == FileType.File
        and each.base_name.endswith(".parquet")
        and each.base_name[0] not in "_."
    )
    if not names:
        raise DataError(
            f"`{source}` has no data: expected a Parquet file or a directory of them, got none. "
            "Correct the path."
        )
    return [f"{source.rstrip('/')}/{name}" for name in names]


def divide(source: str, rows: int) -> list[Fragment]:
    """Divide a source into fragments of about `rows` rows: whole row groups, never across files.

    The division depends on the files only, so that every engine has the same one.

    Raises:
        DataError: if there is no Parquet file, one is damaged, or the files have different columns.
    """
    fragments: list[Fragment] = []
    first_schema: pa.Schema | None = None
    start = 0
    for path in parquet_files(source):
        metadata, schema = _metadata(path)
        if first_schema is None:
            first_schema = schema
        elif not schema.equals(first_schema):
            raise DataError(
                f"the files of `{source}` have different columns: expected those of the first file, "
                f"{_named(first_schema)}, got {_named(schema)} in `{path}`. Write them with one schema."
            )
        begin, count = 0, 0
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        for group, size in enumerate(sizes):
            count += size
            last = group + 1 == len(sizes)
            # The next group would leave the fragment further from `rows`.
            if last or 2 * count + sizes[group + 1] >= 2 * rows:
                fragments.append(Fragment(len(fragments), path, begin, group + 1, count, start))
                start += count
                begin, count = group + 1, 0
    return fragments


def read_schema(source: str) -> pa.Schema:
    """Return the schema of the first file of a source."""
    return _metadata(parquet_files(source)[0])[1]


def read_batches(
    fragment: Fragment, columns: Sequence[str] | None, batch_size: int
) -> Iterator[pa.RecordBatch]:
    """Read a fragment in batches of at most `batch_size` rows.

    Raises:
        DataError: if the file is missing, damaged or lacks a column.
    """
    system, path = file_system(fragment.path)
    try:
        with pq.ParquetFile(system.open_input_file(path)) as file:
            groups = list(range(fragment.first, fragment.stop))
            yield from file.iter_batches(
                batch_size, row_groups=groups, columns=None if columns is None else list(columns)
            )
    except (OSError, pa.ArrowException) as error:
        raise _damaged(fragment.path, error) from error


def _metadata(path: str) -> tuple[Any, pa.Schema]:
    system, place = file_system(path)
    try:
        with pq.ParquetFile(system.open_input_file(place)) as file:
            return file.metadata, file.schema_arrow.remove_metadata()
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from error


def _damaged(path: str, error: Exception) -> DataError:
    return DataError(
        f"`{path}` cannot be read: expected a complete Parquet file, got: {error}. Write it again."
    )


def _named(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
