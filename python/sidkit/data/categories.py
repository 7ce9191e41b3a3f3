"""The categories of items, from whichever column holds them."""

import polars as pl

__all__ = ["item_categories"]

#: Columns that may hold categories, the first that is there is taken.
COLUMNS = ("categories", "category", "genres", "genre")


def item_categories(items: pl.DataFrame) -> list[list[str]] | None:
    """Give the categories of each item, or None if the table has none.

    They are in the first column that is there of `categories`, `category`, `genres`, `genre`: a list of
    texts, or a text. A path such as `Beauty > Makeup > Nails` is one category; otherwise commas,
    semicolons and `|` part several.

    Args:
        items: as `Dataset.items`.

    Returns:
        One list an item, empty where it has no category; None without such a column, or if all are empty.
    """
    name = next((name for name in COLUMNS if name in items.columns), None)
    if name is None:
        return None
    column = items[name]
    if isinstance(column.dtype, pl.List):
        given = [[str(each) for each in row or [] if each is not None] for row in column.to_list()]
    elif column.dtype in (pl.String, pl.Categorical, pl.Enum):
        given = [_parted(text or "") for text in column.cast(pl.String).to_list()]
    else:
        return None
    stripped = [[text.strip() for text in row if text.strip()] for row in given]
    return stripped if any(stripped) else None


def _parted(text: str) -> list[str]:
    if " > " in text:
        return [text]
    return text.replace(";", ",").replace("|", ",").split(",")
