import pandas as pd
import polars as pl
import pytest

import sidkit
from sidkit.data import Catalogue, Dataset
from sidkit.errors import ConfigError, DataError

TABLE = {
    "item_id": ["a", "b", "c", "d"],
    "price": [5.0, 30.0, None, 12.0],
    "brand": ["X", "Y", "Y", None],
    "unit price": [1, 2, 3, 4],
}
CATALOGUE = Catalogue(TABLE)


def ids(chosen):
    return chosen.item_ids.gather(chosen.items()).to_list()


@pytest.mark.parametrize(
    ("condition", "sql", "expected"),
    [
        (pl.col("price") < 20, "price < 20", ["a", "d"]),
        (pl.col("brand") != "X", "brand != 'X'", ["b", "c"]),
        ((pl.col("price") < 20) & (pl.col("brand") != "X"), "price < 20 and brand != 'X'", []),
        (~(pl.col("price") < 20), "NOT price < 20", ["b"]),
        (pl.col("brand").is_null(), "brand IS NULL", ["d"]),
        (pl.col("price") <= pl.col("price").max(), "price <= MAX(price)", ["a", "b", "d"]),
        (pl.col("unit price").is_in([2, 4]), '"unit price" IN (2, 4)', ["b", "d"]),
        (pl.col("item_id") >= "c", "item_id >= 'c'", ["c", "d"]),
        (pl.lit(True), "1 = 1", ["a", "b", "c", "d"]),
        (pl.lit(None, dtype=pl.Boolean), "NULL > 1", []),
    ],
)
def test_conditions(condition, sql, expected):
    assert ids(CATALOGUE.where(condition)) == ids(CATALOGUE.where(sql)) == expected


def test_sets_combine():
    cheap, y = CATALOGUE.where("price < 20"), CATALOGUE.where("brand = 'Y'")
    assert ids(cheap | y) == ["a", "b", "c", "d"]
    assert ids(cheap & ~y) == ids(cheap - y) == ["a", "d"]
    assert ids(~cheap) == ["b", "c"]  # a missing price is not below 20
    assert ids(cheap ^ CATALOGUE.item_set(["a", "b"])) == ["b", "d"]
    assert isinstance(cheap, sidkit.ItemSet) and cheap.item_count == 4
    with pytest.raises(ValueError, match="belong to different tries"):
        cheap & Catalogue(TABLE).where("price < 20")


def test_sets_are_computed_once():
    catalogue = Catalogue(TABLE)
    cheap = catalogue.where(pl.col("price") < 20)
    assert catalogue.where(pl.col("price") < 20) is cheap
    assert catalogue.where("price < 20.0") is not catalogue.where("price < 21.0")
    for bound in range(300):
        catalogue.where(pl.col("price") < bound)
    assert len(catalogue._sets) == 256
    assert ids(catalogue.where(pl.col("price") < 20)) == ids(cheap)


def test_tables_of_other_libraries_and_integer_ids():
    catalogue = Catalogue(pd.DataFrame({"item_id": [7, 9], "new": [True, False]}))
    assert ids(catalogue.where("new")) == ids(catalogue.item_set(["7"])) == [7]
    assert repr(catalogue) == "Catalogue(2 items; item_id, new)" and len(catalogue) == 2


def test_the_items_of_a_dataset():
    data = Dataset.from_frames({"user_id": [1], "item_id": ["a"]} | {"position": [0]}, TABLE)
    assert data.catalogue() is data.catalogue()
    assert ids(data.catalogue().where("price > 6")) == ["b", "d"]


def test_a_large_catalogue():
    catalogue = Catalogue(pl.DataFrame({"item_id": pl.int_range(70_000, eager=True)}))
    assert ids(catalogue.where(pl.col("item_id") % 35_000 == 1)) == [1, 35_001]
    assert len(~catalogue.where(pl.col("item_id") > 1)) == 2


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (pl.col("prize") < 3, "unknown column: expected one of item_id, price, .* got `prize`; did you mean"),
        ('brand = "X"', r"got `X`\. Write text in single quotes"),
        ("price <", "not an SQL expression: expected text such as .* got `price <`"),
        ("price", "wrong type: expected true or false for every item, got Float64"),
        (pl.col("price") < "a", "cannot be evaluated: cannot compare string with numeric type"),
        (pl.col("price").head(2) > 1, "cannot be evaluated"),
        ("price < 3; DROP TABLE x", "not an SQL expression"),
    ],
)
def test_invalid_conditions(condition, message):
    with pytest.raises(DataError, match=message):
        CATALOGUE.where(condition)


def test_a_condition_of_another_type():
    with pytest.raises(ConfigError, match="`condition` is invalid: expected an Expr or valid text, got True"):
        CATALOGUE.where(True)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"id": [1]}, "`items` has no column `item_id`: expected it among its columns, got id"),
        ({"item_id": [1, 1]}, "repeated ids"),
        ({"item_id": [1.5]}, "unsupported type"),
        ([1, 2], "is not a table"),
    ],
)
def test_invalid_tables(table, message):
    with pytest.raises(DataError, match=message):
        Catalogue(table)


def test_unknown_ids():
    with pytest.raises(DataError, match="item 'z' does not exist"):
        CATALOGUE.item_set(["a", "z"])
