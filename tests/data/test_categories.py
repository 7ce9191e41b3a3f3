import polars as pl

from sidkit.data import item_categories


def test_lists_texts_and_paths():
    assert item_categories(pl.DataFrame({"genres": [["a", "b"], None, []]})) == [["a", "b"], [], []]
    assert item_categories(pl.DataFrame({"category": ["a, b", "c|d;e", None]})) == [
        ["a", "b"],
        ["c", "d", "e"],
        [],
    ]
    path = "Health, Beauty > Nails"
    assert item_categories(pl.DataFrame({"categories": [path], "genre": ["x"]})) == [[path]]


def test_no_categories():
    assert item_categories(pl.DataFrame({"title": ["a"]})) is None
    assert item_categories(pl.DataFrame({"genre": [None, ""]})) is None
    assert item_categories(pl.DataFrame({"category": [3]})) is None
