"""Tables of other libraries as polars DataFrames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from sidkit._extras import require
from sidkit.errors import DataError

__all__ = ["to_polars"]


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
