"""Timestamps in every form that logs have, against Python's own datetime."""

import datetime as dt
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.data import Dataset
from sidkit.data.timestamps import to_seconds
from sidkit.errors import DataError

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
MOMENTS = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1))
# From 1973 on, as milliseconds of earlier times look like seconds.
NUMBERS = st.lists(st.datetimes(dt.datetime(1974, 1, 1), dt.datetime(2200, 1, 1)), min_size=1, max_size=20)


def micros(moment):
    """Microseconds since 1970, exactly; without a time zone, UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)
    return (aware - EPOCH) // dt.timedelta(microseconds=1)


def seconds(values, **options):
    return to_seconds(pl.Series("timestamp", values, **options))


@given(st.lists(st.tuples(MOMENTS, st.none() | OFFSETS), min_size=1, max_size=20), st.sampled_from("T t"))
def test_iso_8601_of_pythons_own_writing(moments, separator):
    """`isoformat` leaves out a fraction of zero, so that one column has several forms."""
    moments = [moment.replace(tzinfo=zone) for moment, zone in moments]
    texts = [moment.isoformat(separator) for moment in moments]
    expected = [micros(moment) / 1e6 for moment in moments]
    np.testing.assert_allclose(seconds(texts).to_numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-31", 1706659200),
        ("2024-01-31T00:00", 1706659200),
        (" 2024-01-31 00:00:01 ", 1706659201),
        ("2024-01-31T00:00:00Z", 1706659200),
        ("2024-01-31T01:00:00+01:00", 1706659200),
        ("2024-01-31T01:00:00+0100", 1706659200),
        ("2024-01-31T01:00:00 +01", 1706659200),
        ("2024-01-30T20:30:00-03:30", 1706659200),
        ("2024-01-31T00:00:00,25z", 1706659200.25),
        ("2024-01-31T00:00:00.123456789Z", 1706659200.123456),
        ("2024-02-29T00:00:00", 1709164800),
        ("1969-12-31T23:59:59", -1),
        ("1706659200", 1706659200),
        ("1706659200.5", 1706659200.5),
        ("1706659200000", 1706659200),
    ],
)
def test_a_text(text, expected):
    assert seconds([text]).to_list() == [expected]
    assert seconds([text, text]).dtype == (pl.Int64 if isinstance(expected, int) else seconds([text]).dtype)


@given(NUMBERS, st.sampled_from([(1, 0), (10**3, 3), (10**6, 6), (10**9, 9)]))
def test_the_magnitude_of_integers_is_their_unit(moments, unit):
    per_second, _ = unit
    given_numbers = [micros(moment) * per_second // 10**6 for moment in moments]
    found = seconds(given_numbers)
    np.testing.assert_allclose(found.to_numpy(), [n / per_second for n in given_numbers], rtol=0, atol=1e-6)
    assert found.dtype == (
        pl.Int64 if all(number % per_second == 0 for number in given_numbers) else pl.Float64
    )
    assert seconds([float(number) for number in given_numbers]).dtype == pl.Float64


@given(st.lists(MOMENTS, min_size=1, max_size=10), st.sampled_from(["ms", "us", "ns"]))
def test_datetimes_of_every_unit(moments, unit):
    moments = [moment.replace(microsecond=moment.microsecond // 1000 * 1000) for moment in moments]
    expected = [micros(moment) / 1e6 for moment in moments]
    plain = pl.Series("timestamp", moments).cast(pl.Datetime(unit))
    zoned = plain.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Kolkata")
    for values in (plain, zoned):
        np.testing.assert_allclose(to_seconds(values).to_numpy(), expected, rtol=0, atol=1e-6)


def test_dates_and_seconds_that_are_seconds_already():
    assert seconds([dt.date(1970, 1, 2), dt.date(1969, 12, 31)]).to_list() == [86400, -86400]
    for values in ([5, 0, 6], [0.25, -1.0], [1_700_000_000]):
        given_values = pl.Series("timestamp", values)
        assert to_seconds(given_values) is given_values
    assert seconds([1_700_000_000_123, 0]).to_list() == [1_700_000_000.123, 0]
    assert seconds([2**60, None], dtype=pl.UInt64)[1] is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["yesterday"], "got 'yesterday' in row 0 and 0 more. Convert the column to datetimes"),
        (["2024-01-31", "31/01/2024"], "got '31/01/2024' in row 1"),
        (["2024-02-30"], "got '2024-02-30' in row 0"),
        (["2024-01-31T25:00"], "got '2024-01-31T25:00' in row 0"),
        (["2024-01-31T10:00:60"], "got '2024-01-31T10:00:60'"),
        (["2024-01-31T10:00+25:00"], "got '2024-01-31T10:00+25:00'"),
        (["\uff12\uff10\uff12\uff14-01-31"], "got '\uff12\uff10\uff12\uff14-01-31'"),
        (["2024-01-31; drop"], "got '2024-01-31; drop'"),
        (["", "2024-01-31"], "got '' in row 0"),
        (["1700000000", "2024-01-31"], "got '1700000000' in row 0"),
        (
            [1_700_000_000] * 2 + [1_700_000_000_000],
            "mixes time units: expected one unit for all, got 1700000000",
        ),
        (
            [1_700_000_000_000] * 2 + [1_700_000_000],
            "got 1700000000000 as the median and 1700000000. Convert",
        ),
        (
            [dt.time(3)],
            "has an unsupported type: expected integers, ISO 8601 strings, dates or datetimes, got Time",
        ),
        ([True], "got Boolean"),
        ([[1]], "got List(Int64)"),
    ],
)
def test_what_is_no_timestamp(values, message):
    with pytest.raises(DataError, match=re.escape(message)):
        seconds(values)


@given(st.lists(st.text(max_size=30) | st.none(), min_size=1, max_size=5))
def test_any_text_is_a_time_or_an_error(texts):
    try:
        found = seconds(texts, dtype=pl.String)
    except DataError as error:
        assert "`timestamp`" in str(error)
    else:
        assert (found.is_null() == pl.Series(texts, dtype=pl.String).is_null()).all()


def test_a_missing_time_is_an_error_that_names_its_row():
    log = pl.DataFrame({"user_id": [1, 1], "item_id": [1, 2], "timestamp": ["2024-01-31", None]})
    with pytest.raises(DataError, match=r"`timestamp` of `interactions` has gaps: .* got None in row 1"):
        Dataset.from_frames(log)
