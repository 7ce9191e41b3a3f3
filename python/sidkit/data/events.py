"""Columns of an interaction table: times, numbers and the marks of a given split."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit.data.timestamps import to_seconds
from sidkit.errors import DataError

__all__ = ["NUMBER_COLUMNS", "TIME_COLUMNS", "normalize_events", "split_marks"]

#: Columns that can order the events of a user; the first one present does.
TIME_COLUMNS = ("timestamp", "t_rel", "position")
NUMBER_COLUMNS = (*TIME_COLUMNS, "rating", "label")

MARKS = {
    "train": 0,
    "training": 0,
    "validation": 1,
    "valid": 1,
    "val": 1,
    "dev": 1,
    "test": 2,
    "testing": 2,
}


def normalize_events(interactions: pl.DataFrame) -> pl.DataFrame:
    """Convert `timestamp` to Unix seconds, and the other columns of numbers to numbers.

    Raises:
        DataError: if there is no column that orders events, or a value cannot be converted or is missing.
    """
    present = [column for column in NUMBER_COLUMNS if column in interactions.columns]
    if not set(present) & set(TIME_COLUMNS):
        raise DataError(
            "`interactions` has no column that orders the events of a user: "
            f"expected `timestamp`, `t_rel` or `position`, got {', '.join(interactions.columns)}. "
            'Add one, or name it, as in columns={"timestamp": "event_time"}.'
        )
    for column in present:
        values = interactions[column]
        converted = to_seconds(values) if column == "timestamp" else _to_numbers(values)
        if column in TIME_COLUMNS:
            gaps = converted.is_null()
            if converted.dtype.is_float():
                gaps |= ~converted.is_finite().fill_null(False)
            bad = gaps.arg_true()
            if len(bad):
                raise DataError(
                    f"column `{column}` of `interactions` has gaps: expected a finite number in every row, "
                    f"got {values[int(bad[0])]} in row {bad[0]} and {len(bad) - 1} more. "
                    "Drop or fill these rows."
                )
        if converted is not values:
            interactions = interactions.with_columns(converted)
    return interactions


def split_marks(interactions: pl.DataFrame, name: str) -> npt.NDArray[np.int8]:
    """Return the split of every event, int8 (events,): 0 training, 1 validation, 2 test.

    Raises:
        DataError: if there is no column `split`, or a value is not a known name of a split.
    """
    if "split" not in interactions.columns:
        raise DataError(
            f"the interactions of `{name}` have no given split: expected a column `split`, "
            f'got {", ".join(interactions.columns)}. Add it, name it, as in columns={{"split": "fold"}}, '
            "or use leave_last_out."
        )
    values = interactions["split"]
    labels = values.cast(pl.String, strict=False).str.strip_chars().str.to_lowercase()
    marks = labels.replace_strict(MARKS, default=None, return_dtype=pl.Int8)
    unknown = marks.is_null().arg_true()
    if len(unknown):
        raise DataError(
            f"column `split` of `interactions` has unknown values: expected {', '.join(MARKS)}, "
            f"got {values[int(unknown[0])]!r} in row {unknown[0]} and {len(unknown) - 1} more. Rename them."
        )
    return marks.to_numpy()


def _to_numbers(values: pl.Series) -> pl.Series:
    if values.dtype.is_integer() or values.dtype.is_float():
        return values
    if values.dtype.is_decimal():
        return values.cast(pl.Float64)
    if values.dtype == pl.Boolean:
        return values.cast(pl.Int8)
    if values.dtype == pl.Duration:
        return pl.Series(values.name, values.dt.total_microseconds() / 1e6)
    if values.dtype not in (pl.String, pl.Null):
        raise DataError(
            f"column `{values.name}` of `interactions` has an unsupported type: expected numbers, "
            f"got {values.dtype}. Cast it, or rename it if it is something else."
        )
    numbers = values
    for dtype in (pl.Int64, pl.Float64):
        numbers = values.cast(dtype, strict=False)
        bad = (numbers.is_null() & values.is_not_null()).arg_true()
        if len(bad) == 0:
            return numbers
    row = int(bad[0])
    raise DataError(
        f"column `{values.name}` of `interactions` has unreadable values: expected numbers, "
        f"got {values[row]!r} in row {row}. Correct or drop these rows."
    )
