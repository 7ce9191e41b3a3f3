"""Timestamps in the forms in which logs hold them, as Unix seconds."""

from __future__ import annotations

import numpy as np
import polars as pl

from sidkit.errors import DataError

__all__ = ["to_seconds"]

# Fractions of a second per second, for the time units of integers and of datetimes.
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

# 10**11 seconds are the year 5138, 10**11 milliseconds are March 1973: no log has both.
LIMIT = 10**11
# A number that is a date after 1985 in seconds, and a week of 1970 or so in milliseconds.
RECENT = 5 * 10**8

ISO_8601 = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(?:[.,]([0-9]{1,12}))?)?"
    r" ?([Zz]|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)?)?$"
)


def to_seconds(values: pl.Series) -> pl.Series:
    """Convert timestamps to Unix seconds: integers, or floats if there are fractions of a second.

    Integers and floats are seconds, milliseconds, microseconds or nanoseconds; the median magnitude decides
    (from 10**11 on milliseconds, from 10**14 on microseconds, from 10**17 on nanoseconds). Strings are ISO
    8601 (`2024-01-31`, `2024-01-31T09:30:00.250+01:00`, `T` or a space between date and time) or numbers.
    Datetimes with a time zone are converted to UTC; datetimes and strings without one count as UTC.

    Args:
        values: timestamps; nulls stay null.

    Raises:
        DataError: if the type is unsupported, a string cannot be read, or numbers mix time units.
    """
    if values.dtype == pl.Date:
        return values.to_physical().cast(pl.Int64) * 86_400
    if isinstance(values.dtype, pl.Datetime):
        return _divided(values.to_physical(), PER_SECOND[values.dtype.time_unit])
    if values.dtype.is_decimal():
        values = values.cast(pl.Float64)
    if values.dtype in (pl.String, pl.Null):
        values = _numbers_or_iso(values)
    if not (values.dtype.is_integer() or values.dtype.is_float()):
        raise DataError(
            f"column `{values.name}` of `interactions` has an unsupported type: expected integers, ISO 8601 "
            f"strings, dates or datetimes, got {values.dtype}. Cast it."
        )
    return _by_magnitude(values)


def _by_magnitude(values: pl.Series) -> pl.Series:
    """Convert numbers to seconds by their median magnitude; seconds are returned unchanged."""
    least, most = values.min(), values.max()
    if least is not None and most is not None and least > -LIMIT and most < LIMIT:  # type: ignore[operator]
        return values  # all are seconds; long columns of integers are not copied
    sizes = values.cast(pl.Float64).abs()
    sizes = sizes.filter(sizes.is_finite().fill_null(False))
    if len(sizes) == 0:
        return values
    median = float(sizes.median())  # type: ignore[arg-type]  # a number, as there are some
    power = 0 if median < LIMIT else 3 if median < LIMIT * 10**3 else 6 if median < LIMIT * 10**6 else 9
    odd = sizes >= LIMIT * 10**power
    if power:
        odd |= (sizes >= RECENT) & (sizes < LIMIT)
    if odd.any():
        raise DataError(
            f"column `{values.name}` of `interactions` mixes time units: expected one unit for all, "
            f"got {median:.0f} as the median and {sizes.filter(odd)[0]:.0f}. "
            "Convert the column to seconds."
        )
    return values if power == 0 else _divided(values, 10**power)


def _numbers_or_iso(texts: pl.Series) -> pl.Series:
    for dtype in (pl.Int64, pl.Float64):
        numbers = texts.cast(dtype, strict=False)
        if numbers.null_count() == texts.null_count():
            return numbers
    seconds = _from_iso(texts)
    bad = (seconds.is_null() & texts.is_not_null()).arg_true()
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"column `{texts.name}` of `interactions` has unreadable timestamps: expected ISO 8601 such as "
            f"2024-01-31T09:30:00 or Unix seconds, got {texts[row]!r} in row {row} and {len(bad) - 1} "
            "more. Convert the column to datetimes."
        )
    return seconds


def _from_iso(texts: pl.Series) -> pl.Series:
    groups = pl.col("text").str.strip_chars().str.extract_groups(ISO_8601)
    fields = texts.rename("text").to_frame().select(groups.alias("field")).unnest("field")
    fields.columns = ["date", "hour", "minute", "second", "fraction", "zone"]
    clock = pl.concat_str(
        pl.col("date"),
        pl.lit("T"),
        pl.col("hour").fill_null("00"),
        pl.lit(":"),
        pl.col("minute").fill_null("00"),
        pl.lit(":"),
        pl.col("second").fill_null("00"),
    )
    digits = pl.col("zone").str.replace_all("[^0-9]", "").str.pad_end(4, "0")
    minutes = digits.str.head(2).cast(pl.Int64, strict=False) * 60 + digits.str.tail(2).cast(
        pl.Int64, strict=False
    )
    offset = pl.when(pl.col("zone").str.starts_with("-")).then(-minutes).otherwise(minutes).fill_null(0)
    micros = pl.col("fraction").fill_null("").str.pad_end(6, "0").str.head(6).cast(pl.Int64)
    moment = clock.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False).dt.timestamp("us")
    found = fields.select(time=moment + micros - offset * 60 * PER_SECOND["us"])["time"]
    return _divided(found.rename(texts.name), PER_SECOND["us"])


def _divided(values: pl.Series, factor: int) -> pl.Series:
    """Divide, as integers where nothing is lost by it."""
    if values.dtype.is_integer():
        values = values.cast(pl.Int64)
        whole, rest = values // factor, values % factor
        if not (rest != 0).any():
            return whole
        return whole.cast(pl.Float64) + rest.cast(pl.Float64) / np.float64(factor)
    return values.cast(pl.Float64) / factor
