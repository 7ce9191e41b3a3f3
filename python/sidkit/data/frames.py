"""Tables of other libraries as polars DataFrames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from sidkit._extras import require
from sidkit.errors import ConfigError, DataError

__all__ = ["rename_columns", "to_polars"]


def to_polars(table: Any, name: str) -> pl.DataFrame:
    """Convert a table to a polars DataFrame, without a copy where the memory layout allows it.

    Args:
        table: a polars DataFrame or LazyFrame, a pandas DataFrame, a pyarrow table, a DuckDB relation, any
            other object with the Arrow C stream interface, or a mapping of column names to columns.
        name: name of the table in messages.

    Raises:
        DataError: if it is none of these, or cannot be converted.
    """
    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    try:
        if type(table).__module__.partition(".")[0] == "pandas" and hasattr(table, "columns"):
            require("pyarrow", extra="data")
            return pl.from_pandas(table)
        if hasattr(table, "__arrow_c_stream__") or isinstance(table, Mapping):
            return pl.DataFrame(table)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"`{name}` cannot be converted to a polars DataFrame: {error}. "
            "Convert its columns to plain types (integers, floats, strings, dates)."
        ) from error
    raise DataError(
        f"`{name}` is not a table: expected a DataFrame of polars, pandas, pyarrow, DuckDB or another "
        f"library with the Arrow C stream interface, got {type(table).__name__}. "
        "Convert it to one of these."
    )


def rename_columns(tables: Sequence[pl.DataFrame], columns: Mapping[str, str] | None) -> list[pl.DataFrame]:
    """Give the columns of tables the names that sidkit uses.

    Args:
        tables: the interactions, and the items if there are any.
        columns: name in sidkit to name in the tables, such as `{"user_id": "reviewerID"}`. It applies to
            every table that has the column; a column that already has the new name is replaced.

    Raises:
        ConfigError: if `columns` is not a mapping of strings to strings.
        DataError: if a column is in none of the tables.
    """
    if columns is None:
        return list(tables)
    if not isinstance(columns, Mapping) or not all(
        isinstance(name, str) for pair in columns.items() for name in pair
    ):
        raise ConfigError(
            f"`columns` is invalid: expected a mapping of strings to strings, got {columns!r}. "
            'Write, for example, columns={"user_id": "reviewerID"}.'
        )
    known = {column for table in tables for column in table.columns}
    for name, source in columns.items():
        if source not in known:
            raise DataError(
                f"`columns` names `{source}` as `{name}`, but no table has it: "
                f"expected one of {', '.join(sorted(known))}, got {source!r}. Correct the name."
            )
    return [_renamed(table, columns) for table in tables]


def _renamed(table: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    present = {name: source for name, source in columns.items() if source in table.columns}
    gone = {*present.values()} | {*present}
    kept = [column for column in table.columns if column not in gone]
    return table.select(*(pl.col(source).alias(name) for name, source in present.items()), *kept)
