"""Values of items as JSON gives them, checked against the columns of a catalogue."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import polars as pl

from sidkit.errors import DataError

__all__ = ["check_values", "fits_type", "plain"]


def check_values(given: Mapping[str, Any], place: int, columns: Mapping[str, pl.DataType]) -> None:
    """Check that the values of an item fit columns that exist.

    Args:
        given: values by column, with `item_id`, which is not checked.
        place: place of the item in its request, for messages.
        columns: types of the columns.

    Raises:
        DataError: if a value does not; the message names it.
    """
    for name, value in given.items():
        if name not in columns:
            raise DataError(
                f"`items[{place}].values.{name}` is no column: expected one of {', '.join(columns)}, got "
                f"`{name}`. Correct the name."
            )
        if name != "item_id" and value is not None and not _accepts(columns[name], value):
            raise DataError(
                f"`items[{place}].values.{name}` has the wrong type: expected a value of {columns[name]}, "
                f"got {str(value)[:80]!r}. Correct it."
            )


def fits_type(value: int, dtype: pl.DataType) -> bool:
    """Return whether an integer is within the range of an integer type."""
    least, most = _range(dtype)
    return least <= value <= most


@cache
def _range(dtype: Any) -> tuple[int, int]:
    return pl.select(dtype.min()).item(), pl.select(dtype.max()).item()


def _accepts(dtype: pl.DataType, value: Any) -> bool:
    """Return whether a value of JSON may become a value of a column."""
    if isinstance(dtype, pl.List | pl.Array):
        return isinstance(value, list) and all(each is None or _accepts(dtype.inner, each) for each in value)  # type: ignore[arg-type]
    if dtype == pl.Boolean:
        return isinstance(value, bool)
    if dtype.is_integer():
        return isinstance(value, int) and not isinstance(value, bool) and fits_type(value, dtype)
    if dtype.is_numeric():
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str)


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row whose values JSON can hold."""
    return {
        name: value if isinstance(value, str | int | float | bool | list | None) else str(value)
        for name, value in row.items()
    }
