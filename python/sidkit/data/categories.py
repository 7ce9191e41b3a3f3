"""Categories of items."""

import polars as pl

from sidkit._arguments import checked

__all__ = ["item_categories"]

#: Columns that may hold categories; the first present one is used.
COLUMNS = ("categories", "category", "genres", "genre")


@checked
def item_categories(items: pl.DataFrame) -> list[list[str]] | None:
    """Return the categories of each item, or None if the table has none.

    The first present column of `categories`, `category`, `genres` and `genre` holds them, as a list of
    strings or a string. A path such as `Beauty > Makeup > Nails` is one category; otherwise commas,
    semicolons and `|` separate several.

    Args:
        items: table of items such as `Dataset.items`.

    Returns:
        One list per item, empty where it has no category; None without such a column, or if all are empty.
    """
    name = next((name for name in COLUMNS if name in items.columns), None)
    if name is None:
        return None
    column = items[name]
    if isinstance(column.dtype, pl.List):
        given = [[str(each) for each in row or [] if each is not None] for row in column.to_list()]
    elif column.dtype in (pl.String, pl.Categorical, pl.Enum):
        given = [_separated(text or "") for text in column.cast(pl.String).to_list()]
    else:
        return None
    stripped = [[text.strip() for text in row if text.strip()] for row in given]
    return stripped if any(stripped) else None


def _separated(text: str) -> list[str]:
    if " > " in text:
        return [text]
    return text.replace(";", ",").replace("|", ",").split(",")
