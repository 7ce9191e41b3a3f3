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


def test_items_without_text_are_a_warning():
    message = (
        "2 of 3 items have no text in `title`, such as 1, 2; they all get the vector of the empty text, "
        "and therefore the same codes. Add text, or use precomputed vectors."
    )
    with pytest.warns(UserWarning, match=re.escape(message)):
        assert texts(None, title=["a", None, " "]) == ["a", "", ""]
    with pytest.raises(DataError, match="no item has any text: expected text in `title`, got none"):
        texts("{title}", title=["", None])
    with pytest.raises(
        DataError,
        match=r"no text: expected a column such as `title`, got `item_id` \(Int64\), `x` \(Int64\)",
    ):
        texts(None, x=[1])


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{titel}", "names an unknown column: expected one of item_id, title, deep, got `titel`"),
        ("{title.x}", "names an unknown column: expected one of item_id, title, deep, got `title.x`"),
        (
            "title",
            "names no column: expected at least one of item_id, title, deep. Write, for example, `{title}`",
        ),
        ("{title:>10}", "has a formatted field: expected `{title}` only"),
        ("{title", "is malformed: expected '}' before end of string. Write a literal brace twice"),
        ("{deep}", "names a column without text: expected text or numbers, got List(List(Int64)) in `deep`"),
    ],
)
def test_templates_that_make_no_sense(template, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        texts(template, title=["a"], deep=[[[1]]])
