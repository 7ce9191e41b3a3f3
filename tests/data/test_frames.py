"""Datasets from tables of other libraries, with other names of columns."""

import datetime as dt
import re

import polars as pl
import pyarrow as pa
import pytest

from sidkit.data import Dataset, load_dataset
from sidkit.errors import ConfigError, DataError

LOG = {"user_id": ["ann", "ann", "bob"], "item_id": [7, 8, 7], "timestamp": [100, 200, 50]}
SHOP = {"item_id": [8, 7, 9], "title": ["comb", "soap", "towel"]}


class ArrowOnly:
    """A table of a library that sidkit has never heard of."""

    def __init__(self, columns):
        self.table = pa.table(columns)

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def pandas_frame(columns):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(columns, index=range(5, 5 + len(columns["item_id"])))


def duckdb_relation(columns):
    duckdb = pytest.importorskip("duckdb")
    table = pa.table(columns)
    return duckdb.connect().from_arrow(table)


@pytest.mark.parametrize(
    "make", [pl.DataFrame, pl.LazyFrame, pa.table, ArrowOnly, dict, pandas_frame, duckdb_relation]
)
def test_tables_of_every_library(make):
    dataset = Dataset.from_frames(make(LOG), make(SHOP), name="shop")
    assert dataset.items.equals(pl.DataFrame(SHOP))
    assert dataset.interactions.equals(pl.DataFrame(LOG))
    assert dataset.item_index.tolist() == [1, 0, 1]
    assert dataset.name == "shop"


def test_pandas_datetimes_categories_and_missing_values():
    pandas = pytest.importorskip("pandas")
    times = pandas.to_datetime(["2024-01-31", "2024-02-01", "2024-01-30"])
    frame = pandas.DataFrame({**LOG, "timestamp": times, "rating": [1.0, None, 3.0]})
    frame["user_id"] = frame["user_id"].astype("category")
    expected = [1706659200, 1706745600, 1706572800]
    for zone in (None, "UTC", "America/Lima"):
        aware = frame.assign(timestamp=frame["timestamp"].dt.tz_localize("UTC").dt.tz_convert(zone))
        dataset = Dataset.from_frames(aware)
        assert dataset.interactions["timestamp"].to_list() == expected
        assert dataset.user_ids.to_list() == ["ann", "bob"] and dataset.user_ids.dtype == pl.String
        assert dataset.interactions["rating"].to_list() == [1.0, None, 3.0]


def test_without_items_the_catalogue_is_that_of_the_events():
    dataset = Dataset.from_frames(pl.DataFrame(LOG))
    assert dataset.items.equals(pl.DataFrame({"item_id": [7, 8]}))
    assert dataset.item_index.tolist() == [0, 1, 0]


def test_categorical_ids_are_strings():
    log = pl.DataFrame({**LOG, "item_id": ["x", "y", "x"]}).cast(
        {"item_id": pl.Categorical, "user_id": pl.Enum(["bob", "ann"])}
    )
    items = pl.DataFrame({"item_id": ["y", "x"]}, schema={"item_id": pl.Categorical})
    dataset = Dataset.from_frames(log, items)
    assert (dataset.item_ids.dtype, dataset.user_ids.dtype) == (pl.String, pl.String)
    assert dataset.item_index.tolist() == [1, 0, 1]
    assert dataset.user_ids.to_list() == ["ann", "bob"]


def test_numbers_in_other_types():
    log = pl.DataFrame(
        {
            **LOG,
            "rating": pl.Series(["1.25", "2", None]).cast(pl.Decimal(6, 2)),
            "label": [True, False, None],
            "t_rel": [dt.timedelta(seconds=1.5), dt.timedelta(0), dt.timedelta(days=1)],
            "position": ["0", "1", "0"],
        }
    )
    events = Dataset.from_frames(log).interactions
    assert events["rating"].to_list() == [1.25, 2.0, None]
    assert events["label"].to_list() == [1, 0, None]
    assert events["t_rel"].to_list() == [1.5, 0, 86400]
    assert events["position"].to_list() == [0, 1, 0]


AMAZON = pl.DataFrame(LOG).rename({"user_id": "reviewerID", "item_id": "parent_asin", "timestamp": "time"})
COLUMNS = {"user_id": "reviewerID", "item_id": "parent_asin", "timestamp": "time"}


def test_columns_of_other_names():
    log = AMAZON.with_columns(item_id=pl.lit("variant"), extra=pl.lit(1))
    items = pl.DataFrame({"parent_asin": [7, 8], "name": ["soap", "comb"]})
    dataset = Dataset.from_frames(log, items, columns={**COLUMNS, "title": "name"})
    assert set(dataset.interactions.columns) == {"user_id", "item_id", "timestamp", "extra"}
    assert dataset.items.to_dicts() == [{"item_id": 7, "title": "soap"}, {"item_id": 8, "title": "comb"}]
    assert dataset.item_index.tolist() == [0, 1, 0]


def test_a_table_that_has_the_name_already_keeps_it():
    dataset = Dataset.from_frames(AMAZON, pl.DataFrame(SHOP), columns=COLUMNS)
    assert dataset.item_ids.to_list() == SHOP["item_id"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_with_columns_of_other_names(tmp_path, suffix):
    for name, table in (("interactions", AMAZON), ("items", pl.DataFrame(SHOP))):
        getattr(table, f"write_{suffix}")(tmp_path / f"{name}.{suffix}")
    dataset = load_dataset(tmp_path, columns=COLUMNS)
    assert dataset.item_ids.to_list() == SHOP["item_id"]
    assert dataset.user_ids.to_list() == ["ann", "bob"]
    with pytest.raises(DataError, match="Name the one that holds it, as in columns="):
        load_dataset(tmp_path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_with_datetimes(tmp_path, suffix):
    days = [dt.datetime(2024, 1, 31, 1, 2, 3), dt.datetime(2024, 1, 31), dt.datetime(2024, 2, 1)]
    log = pl.DataFrame({**LOG, "timestamp": days})
    for name, table in (("interactions", log), ("items", pl.DataFrame(SHOP))):
        getattr(table, f"write_{suffix}")(tmp_path / f"{name}.{suffix}")
    events = load_dataset(tmp_path).interactions
    assert events["timestamp"].to_list() == [1706662923, 1706659200, 1706745600]


def test_events_of_unknown_items():
    few = pl.DataFrame(SHOP).head(1)
    with pytest.raises(DataError, match="expected only known ids, got 1 others, such as 7"):
        Dataset.from_frames(LOG, few)
    assert Dataset.from_frames(LOG, few, unknown_items="drop").user_ids.to_list() == ["ann"]
    with pytest.raises(DataError, match="`interactions` is empty"):
        Dataset.from_frames(LOG, {"item_id": [1]}, unknown_items="drop")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1, 2],), DataError, "`interactions` is not a table: expected a DataFrame of polars, pandas"),
        ((LOG, "items.csv"), DataError, "`items` is not a table: expected a DataFrame"),
        ((None,), DataError, "got NoneType. Convert it to one of these"),
        (({"user_id": [1, "a"]},), DataError, "`interactions` cannot be converted to a polars DataFrame"),
        (({"user_id": [1], "item_id": [1, 2]},), DataError, "cannot be converted to a polars DataFrame"),
        (({},), DataError, "`interactions` has no column `user_id`: expected it among its columns, got none"),
        (({"user_id": [1]},), DataError, "`interactions` has no column `item_id`"),
        (({"user_id": [1], "item_id": [1]},), DataError, "no column that orders the events of a user"),
        (({**LOG, "item_id": [1.0, 2.0, None]},), DataError, "expected integers or strings, got Float64"),
        (({**LOG, "item_id": ["a", None, "b"]},), DataError, "got null in 1 rows, the first of them row 1"),
        (({**LOG, "rating": ["good", "1", "2"]},), DataError, "expected numbers, got 'good' in row 0"),
        ((LOG, {**SHOP, "item_id": ["7", "8", "9"]}), DataError, "expected String as in `items`, got Int64"),
    ],
)
def test_tables_that_are_none(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        Dataset.from_frames(*arguments)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        (
            {"user_id": "who"},
            DataError,
            "`columns` names `who` as `user_id`, but no table has it: expected one",
        ),
        (["user_id"], ConfigError, "expected a mapping of valid text to valid text or None, got ['user_id']"),
        (
            {"user_id": 3},
            ConfigError,
            "expected a mapping of valid text to valid text or None, got {'user_id': 3}",
        ),
    ],
)
def test_names_that_are_none(columns, error, message):
    with pytest.raises(error, match=re.escape(message)):
        Dataset.from_frames(LOG, SHOP, columns=columns)


def test_no_names_for_a_dataset_that_is_known():
    with pytest.raises(ConfigError, match="`columns` does not apply to the dataset `ml-100k`"):
        load_dataset("ml-100k", columns={"user_id": "who"})
