"""Reading of tables from one file, whose name may hold any characters.

Polars expands `*`, `?` and `[...]` in paths unless it is asked not to, and then reads other files.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from sidkit._files import UNSEALED, atomic_path, check_seal, seal

__all__ = ["read_csv", "read_parquet", "read_parquet_metadata", "read_parquet_schema", "write_parquet"]


def read_csv(
    path: str | os.PathLike[str],
    *,
    as_text: bool = False,
    separator: str = ",",
    header: bool = True,
    quotes: bool = True,
) -> pl.DataFrame:
    """Read a CSV file in UTF-8.

    Args:
        path: the file.
        as_text: read every column as strings; by default, types are inferred.
        separator: character between values.
        header: whether the first line holds the names of the columns.
        quotes: whether a value in double quotes may hold separators and line breaks.
    """
    return pl.read_csv(
        Path(path),
        glob=False,
        infer_schema=not as_text,
        separator=separator,
        has_header=header,
        quote_char='"' if quotes else None,
    )


def read_parquet(path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a Parquet file, or some of its columns.

    Raises:
        FormatError: if the file has a checksum of `write_parquet`, and a byte of it has changed.
    """
    check_seal(path)
    return pl.read_parquet(Path(path), glob=False, columns=None if columns is None else list(columns))


def read_parquet_schema(path: str | os.PathLike[str]) -> dict[str, pl.DataType]:
    """Return the names and types of the columns of a Parquet file."""
    with Path(path).open("rb") as file:
        return dict(pl.read_parquet_schema(file))


def read_parquet_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the metadata of a Parquet file."""
    with Path(path).open("rb") as file:
        return pl.read_parquet_metadata(file)


def write_parquet(
    frame: pl.DataFrame, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a table to a Parquet file with a checksum, whole or not at all."""
    with atomic_path(path) as temporary:
        frame.write_parquet(temporary, metadata={**(metadata or {}), **UNSEALED})
        seal(temporary)
