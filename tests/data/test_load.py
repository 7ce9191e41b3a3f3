import re

import polars as pl
import pytest

from sidkit.data import load_dataset
from sidkit.errors import ConfigError, DataError

ITEMS = "item_id,title,price\n1,Brush,2.50\n2,,3\n"
EVENTS = "user_id,item_id,timestamp,rating\n7,1,100,4.5\n7,2,101,\n8,2,50,3\n"


@pytest.fixture
def folder(tmp_path):
    """A function that writes a dataset's two tables as CSV, or as Parquet if they are frames."""

    def write(items=ITEMS, interactions=EVENTS):
        for name, table in (("items", items), ("interactions", interactions)):
            if isinstance(table, str):
                (tmp_path / f"{name}.csv").write_text(table)
            elif table is not None:
                table.write_parquet(tmp_path / f"{name}.parquet")
        return tmp_path

    return write


def test_csv(folder):
    dataset = load_dataset(folder())
    assert dataset.item_ids.to_list() == [1, 2]
    assert dataset.items["title"].to_list() == ["Brush", None]
    assert dataset.items["price"].to_list() == ["2.50", "3"]
    assert dataset.user_ids.to_list() == [7, 8]
    assert dataset.interactions["rating"].to_list() == [4.5, None, 3.0]
    assert dataset.interactions["timestamp"].dtype == pl.Int64


@pytest.mark.parametrize(
    ("ids", "kept"),
    [
        (["1", "2"], [1, 2]),
        (["-1", "0"], [-1, 0]),
        (["007", "8"], ["007", "8"]),
        (["+1", "2"], ["+1", "2"]),
        (["-0", "2"], ["-0", "2"]),
        (["1.0", "2"], ["1.0", "2"]),
        (["1", "x2"], ["1", "x2"]),
        (["1", "99999999999999999999"], ["1", "99999999999999999999"]),
    ],
)
def test_ids_of_a_csv_are_what_was_written(folder, ids, kept):
    events = "user_id,item_id,position\n" + "".join(f"{each},{ids[0]},0\n" for each in ids)
    dataset = load_dataset(folder("item_id\n" + "\n".join(ids) + "\n", events))
    assert dataset.item_ids.to_list() == kept
    assert dataset.user_ids.to_list() == kept
    assert dataset.item_index.tolist() == [0, 0]


@pytest.mark.parametrize("name", ["1", "007"])
def test_a_csv_takes_the_type_of_a_parquet_beside_it(folder, name):
    items = pl.DataFrame({"item_id": [name, "x"]})
    events = f"user_id,item_id,position\n1,{name},0\n"
    dataset = load_dataset(folder(items, events))
    assert dataset.item_ids.to_list() == [name, "x"]


def test_parquet_integers_and_csv(folder):
    events = pl.DataFrame({"user_id": ["a"], "item_id": pl.Series([2], dtype=pl.UInt16), "t_rel": [0.5]})
    assert load_dataset(folder(ITEMS, events)).item_index.tolist() == [1]


def test_events_of_unknown_items_can_be_dropped(folder):
    path = folder(interactions=EVENTS + "9,3,1,1\n")
    with pytest.raises(DataError, match="expected only known ids, got 1 others, such as 3"):
        load_dataset(path)
    assert load_dataset(path, unknown_items="drop").user_ids.to_list() == [7, 8]
    with pytest.raises(
        ConfigError, match="`unknown_items` is invalid: expected one of error, drop, got 'keep'"
    ):
        load_dataset(path, unknown_items="keep")


@pytest.mark.parametrize("least", [-1, 1.5, "2", None, True])
@pytest.mark.parametrize("name", ["min_user_events", "min_item_events"])
def test_a_number_of_events_that_is_none(folder, name, least):
    with pytest.raises(ConfigError, match=f"`{name}` is invalid: expected an integer >= 0, got {least!r}"):
        load_dataset(folder(), **{name: least})
    with pytest.raises(ConfigError, match=f"`{name}` is invalid: expected an integer >= 0"):
        load_dataset(folder()).filtered(**{name: least})


def test_few_events(folder):
    dataset = load_dataset(folder(), min_item_events=2)
    assert (dataset.item_ids.to_list(), dataset.user_ids.to_list()) == ([2], [7, 8])
    assert load_dataset(folder(), min_user_events=2).item_ids.to_list() == [1, 2]


def test_the_name_is_the_folders(folder, tmp_path, monkeypatch):
    folder()
    monkeypatch.chdir(tmp_path)
    assert load_dataset(".").name == tmp_path.name


@pytest.mark.parametrize(
    ("items", "events", "message"),
    [
        (None, EVENTS, "has no items: expected items.parquet or items.csv, got interactions.csv"),
        (
            ITEMS,
            None,
            "has no interactions: expected interactions.parquet or interactions.csv, got items.csv",
        ),
        (ITEMS, "", "interactions.csv` is empty: expected a header and at least one row"),
        (ITEMS, "user_id,item_id,timestamp\n", "`interactions` is empty: expected at least one row"),
        ("item_id\n", EVENTS, "`items` is empty"),
        (
            "id\n1\n",
            EVENTS,
            "`items` has no column `item_id`: expected it among its columns, got id. Name the one that holds",
        ),
        (
            ITEMS,
            "user_id,timestamp\n1,2\n",
            "`interactions` has no column `item_id`: expected it among its columns, got user_id, timestamp",
        ),
        (ITEMS, "item_id,timestamp\n1,2\n", "`interactions` has no column `user_id`"),
        (
            ITEMS,
            "user_id,item_id,timestamp\n1,1,5\n1,1,yesterday\n",
            "expected ISO 8601 such as 2024-01-31T09:30:00 or Unix seconds, got '5' in row 0 and 1 more",
        ),
        (
            ITEMS,
            "user_id,item_id,timestamp\n1,,5\n",
            "`item_id` of `interactions` has missing ids: expected an id in every row, got null in 1 rows",
        ),
        (
            ITEMS,
            "user_id,item_id,timestamp\n1,1,\n",
            "expected a finite number in every row, got None in row 0",
        ),
        (ITEMS, "user_id,item_id\n1,1,5\n", "interactions.csv` is not a readable csv file"),
        (
            "item_id\n1\n1\n2\n",
            EVENTS,
            "expected one row per item, got several for 1 ids, such as 1",
        ),
    ],
)
def test_bad_tables(folder, items, events, message):
    with pytest.raises(DataError, match=re.escape(message)):
        load_dataset(folder(items, events))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"item_id\n1\n"])
def test_a_parquet_that_is_none(folder, content):
    path = folder(None, EVENTS)
    (path / "items.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"items.parquet` is (empty|not a readable parquet file)"):
        load_dataset(path)


def test_a_csv_in_utf_16(folder):
    path = folder()
    (path / "items.csv").write_text(ITEMS, encoding="utf-16")
    with pytest.raises(
        DataError, match=r"items.csv` is not a text file: expected UTF-8, got zero bytes. Save it as"
    ):
        load_dataset(path)


def test_a_hint_of_another_library_is_left_out(folder):
    with pytest.raises(DataError, match=r"interactions.csv` is not a readable csv file: .*") as caught:
        load_dataset(folder(ITEMS, "user_id,item_id\n1,1,5\n"))
    assert "\n" not in str(caught.value)


def test_neither_directory_nor_name():
    with pytest.raises(
        DataError,
        match=r"there is no dataset `nowhere`: expected a directory with .* or one of the names .*ml-100k",
    ):
        load_dataset("nowhere")


@pytest.mark.data
@pytest.mark.parametrize("filtered", [{}, {"min_user_events": 5, "min_item_events": 5}])
def test_beauty_is_the_published_5_core(beauty, filtered):
    dataset = load_dataset(beauty, **filtered)
    assert (len(dataset.user_ids), len(dataset.items), len(dataset.interactions)) == (22_363, 12_101, 198_502)
