"""Attributes from tables of any library, and in the order of the catalogue."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sidkit.errors import ConfigError, DataError
from sidkit.rerank import item_attribute, item_numbers

IDS = pl.Series("item_id", ["a", "b", "c", "d"])
TABLE = {"item_id": ["c", "a", "z", "d"], "brand": ["X", "Y", "W", None], "price": [3, 1, 9, None]}


@pytest.mark.parametrize(
    "form",
    [pl.DataFrame, lambda table: pl.LazyFrame(table), pd.DataFrame, pa.table, dict],
    ids=["polars", "lazy", "pandas", "arrow", "dict"],
)
def test_a_table_is_matched_by_id(form):
    brands = item_attribute(form(TABLE), IDS, "brand")
    assert brands.names == ("X", "Y") and brands.codes().tolist() == [1, -1, 0, -1] and brands.single
    assert brands.has("X").tolist() == [False, False, True, False]
    assert item_numbers(form(TABLE), IDS, "price").tolist() == [1, 0, 3, 0]


@pytest.mark.parametrize(
    "values",
    [
        ["Y", None, "X", "Y"],
        np.array(["Y", None, "X", "Y"], object),
        pl.Series(["Y", None, "X", "Y"], dtype=pl.Categorical),
        pd.Series(["Y", None, "X", "Y"]),
    ],
    ids=["list", "numpy", "polars", "pandas"],
)
def test_values_in_the_order_of_the_catalogue(values):
    assert item_attribute(values, IDS).codes().tolist() == [1, -1, 0, 1]


def test_an_item_may_have_several_values():
    genres = item_attribute([["drama", "war"], [], None, ["war", "war", None]], IDS)
    assert genres.names == ("drama", "war") and not genres.single
    assert [row.tolist() for row in genres.values] == [[0, 1], [], [], [1]]


def test_integer_ids_of_any_width_match():
    table = pl.DataFrame({"item_id": pl.Series([2, 1], dtype=pl.Int16), "own": [True, False]})
    own = item_attribute(table, pl.Series([1, 2, 3], dtype=pl.Int64))
    assert own.codes().tolist() == [0, 1, -1] and own.has(True).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("given", "column", "error", "message"),
    [
        (TABLE, None, ConfigError, "`column` must be one of brand, price, got None"),
        (TABLE, "brnd", ConfigError, r"got `brnd`; did you mean `brand`\?"),
        ({"brand": ["X"]}, None, DataError, "has no column `item_id`: expected one, got brand"),
        ({"item_id": ["a", "a"], "brand": ["X", "Y"]}, None, DataError, "item 'a' has several rows"),
        ({"item_id": [1], "brand": ["X"]}, None, DataError, "expected String as in the catalogue, got Int64"),
        (["X"], None, DataError, "1 values: expected one for each of the 4 items"),
        (3, None, DataError, "got int"),
    ],
)
def test_what_cannot_be_matched_is_refused(given, column, error, message):
    with pytest.raises(error, match=message):
        item_attribute(given, IDS, column)
    with pytest.raises(ConfigError, match="no item has the value 'Xx': expected one of 2 values; did you"):
        item_attribute({"item_id": ["a", "b"], "brand": ["X", "Xxx"]}, IDS).has("Xx")
