import re

import polars as pl
import pytest

from sidkit.embed import default_template, item_texts
from sidkit.errors import ConfigError, DataError


def texts(template, **columns):
    n = len(next(iter(columns.values())))
    return item_texts(pl.DataFrame({"item_id": range(n), **columns}), template)


FULL = {"title": "Brush", "year": 1999, "brand": "Acme", "price": 2.5}


@pytest.mark.parametrize(
    ("template", "missing", "text"),
    [
        ("{title}. {brand}", [], "Brush. Acme"),
        ("{title}. {brand}", ["title"], "Acme"),
        ("{title}. {brand}", ["brand"], "Brush"),
        ("{title} ({year}), by {brand}. Price: ${price}!", [], "Brush (1999), by Acme. Price: $2.5!"),
        ("{title} ({year}), by {brand}. Price: ${price}!", ["year"], "Brush, by Acme. Price: $2.5!"),
        ("{title} ({year}), by {brand}. Price: ${price}!", ["brand"], "Brush (1999). Price: $2.5!"),
        ("{title} ({year}), by {brand}. Price: ${price}!", ["price", "brand"], "Brush (1999)!"),
        ("{title} ({year}), by {brand}. Price: ${price}!", ["title", "year"], "by Acme. Price: $2.5!"),
        ("Name: {title}. Brand: {brand}", ["title"], "Brand: Acme"),
        ("Name: {title}. Brand: {brand}", ["brand"], "Name: Brush"),
        ("“{title}” {{new}} {brand}", [], "“Brush” {new} Acme"),
        ("{title}{brand}", ["title"], "Acme"),
    ],
)
def test_what_is_missing_vanishes_with_its_punctuation(template, missing, text):
    row = {name: [None if name in missing else value] for name, value in FULL.items()}
    frame = pl.DataFrame({"item_id": [1], **row}, schema_overrides={"title": pl.String, "brand": pl.String})
    assert item_texts(frame, template) == [text]


def test_values_of_every_kind():
    columns = {
        "tags": [["a", None, " b  c ", ""], []],
        "years": [[1, 2], None],
        "price": pl.Series([12.99, float("nan")], dtype=pl.Float32),
        "kind": pl.Series(["x", None], dtype=pl.Categorical),
        "title": [" two\n\twords ", "  "],
        "new": [True, None],
    }
    with pytest.warns(UserWarning, match="1 of 2 items have no text"):
        got = texts("{tags}|{years}|{price}|{kind}|{title}|{new}", **columns)
    assert got == ["a, b c|1, 2|12.99|x|two words|true", ""]


@pytest.mark.parametrize(
    ("columns", "template"),
    [
        (
            {"price": [1.0], "categories": [["a"]], "title": ["t"], "sku": ["a b"]},
            "{title}. {categories}. {price}",
        ),
        ({"description": ["d"], "brand": ["b"]}, "{brand}. {description}"),
        (
            {"asin": ["B00", "B01"], "keywords": ["nail polish", "a comb"], "notes": ["so good", "so bad"]},
            "{keywords}. {notes}",
        ),
        ({"genre": ["x"], "plot": ["a man walks"], "codes": [[1]]}, "{genre}. {plot}"),
    ],
)
def test_the_default_template(columns, template):
    n = len(next(iter(columns.values())))
    assert default_template(pl.DataFrame({"item_id": range(n), **columns})) == template


def test_items_without_text_are_told_of():
    message = (
        "2 of 3 items have no text in `title`, such as 1, 2; they all get the vector of the empty text, "
        "and so the same Semantic ID: give them text, or vectors of your own"
    )
    with pytest.warns(UserWarning, match=re.escape(message)):
        assert texts(None, title=["a", None, " "]) == ["a", "", ""]
    with pytest.raises(DataError, match="no item has any text in `title`"):
        texts("{title}", title=["", None])
    with pytest.raises(
        DataError, match=r"`items` has no column of text, only `item_id` \(Int64\), `x` \(Int64\)"
    ):
        texts(None, x=[1])


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{titel}", "names `titel`, which is no column of `items`; there are item_id, title, deep"),
        ("{title.x}", "names `title.x`, which is no column"),
        ("title", "names no column; write for instance `{title}`; there are item_id, title, deep"),
        ("{title:>10}", "the field `{title}` of a template takes no format"),
        ("{title", "is broken: expected '}' before end of string; write a brace twice to mean itself"),
        ("{deep}", "names `deep`, whose type List(List(Int64)) is no text"),
    ],
)
def test_templates_that_make_no_sense(template, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        texts(template, title=["a"], deep=[[[1]]])
