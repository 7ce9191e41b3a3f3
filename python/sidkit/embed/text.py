"""Item texts from a template over the columns of a catalogue."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

import polars as pl

from sidkit._arguments import checked
from sidkit._warnings import warn
from sidkit.errors import ConfigError, DataError

__all__ = ["default_template", "item_texts", "template_fields", "write_texts"]

# Names of the fields of a catalogue in common datasets, in the order of a readable text.
FIELDS = (
    ("title", "name", "product_name", "movie_title"),
    ("brand", "author", "artist", "maker", "manufacturer"),
    ("categories", "category", "genres", "genre", "class"),
    ("release_year", "year"),
    ("price",),
    ("description", "abstract", "summary", "overview"),
)

# A literal between two fields: closing part of the left one, separator, opening part of the right one.
# In "{title} ({year}), by {brand}" that is "" + " " + "(", then ")" + ", " + "by ".
BETWEEN = re.compile(r"(?s)([)\]}»\u201d\u2019\"'%]*)([^\w(\[{«\u201c\u2018\"'$€£¥#@]*)(.*)")


@checked
def default_template(items: pl.DataFrame) -> str:
    """Return a template of the columns with text: title, brand, categories, year, price, description.

    Other text columns are used only if there is neither a title nor a description, and only those in which
    most values have several words, since the others usually hold codes, addresses or repetitions. Name them
    in your own template to use them.

    Args:
        items: table of items.

    Raises:
        DataError: if there is no text column.
    """
    known = [
        name for names in FIELDS for name in names if name in items.columns and _is_text(items[name].dtype)
    ]
    if not set(known) & set(FIELDS[0] + FIELDS[-1]):
        known += [
            name for name in items.columns if name not in (*known, "item_id") and _is_prose(items[name])
        ]
    if not known:
        raise DataError(
            "`items` has no text: expected a column such as `title`, got "
            + ", ".join(f"`{name}` ({d})" for name, d in items.schema.items())
            + ". Add a title, or use precomputed vectors."
        )
    return ". ".join(f"{{{name}}}" for name in known)


@checked
def item_texts(items: pl.DataFrame, template: str | None = None) -> list[str]:
    """Return the text of every item.

    A template is text with column names in braces: `{title} ({year}). {brand}. Price: {price}`. A null or
    blank field is dropped together with its brackets, its label and the punctuation before it; white space
    is collapsed and lists are joined with commas. An item without any of the fields gets an empty text, and
    a warning reports their number.

    Args:
        items: table with one row per item.
        template: template; by default that of `default_template`.

    Returns:
        One text per row.

    Raises:
        ConfigError: if the template names no column, or a missing one.
        DataError: if no item has any text.
    """
    template = default_template(items) if template is None else template
    texts = write_texts(items, template)
    blank = [row for row, text in enumerate(texts) if not text]
    named = ", ".join(f"`{name}`" for name in template_fields(template))
    if len(blank) == len(texts):
        raise DataError(
            f"no item has any text: expected text in {named}, got none. Use other columns in the template."
        )
    if blank:
        first = ", ".join(repr(items["item_id"][row]) for row in blank[:5])
        warn(
            f"{len(blank)} of {len(texts)} items have no text in {named}, such as {first}; "
            "they all get the vector of the empty text, and therefore the same codes. "
            "Add text, or use precomputed vectors.",
        )
    return texts


def write_texts(items: pl.DataFrame, template: str) -> list[str]:
    """Return the text of every item as `item_texts` does, but accept items without any text.

    Raises:
        ConfigError: if the template names no column, or a missing one.
    """
    fields, literals = _parse(template)
    _check_fields(template, fields, items)
    columns = [_as_text(items[name]).to_list() for name in fields]
    parts = _Parts(literals)
    return [parts.join(values) for values in zip(*columns, strict=True)]


def template_fields(template: str) -> tuple[str, ...]:
    """Return the columns that a template names, in its order.

    Raises:
        ConfigError: if the template is malformed.
    """
    return tuple(_parse(template)[0])


class _Parts:
    """Parts of a template: brackets, label and separator of each field."""

    def __init__(self, literals: list[str]) -> None:
        between = [_cut(literal) for literal in literals[1:]]
        self.separators = ["", *(separator for _, separator, _ in between[:-1])]
        self.openings = [literals[0], *(opening for _, _, opening in between[:-1])]
        self.closings = [closing for closing, _, _ in between]
        self.end = between[-1][1] + between[-1][2]

    def join(self, values: Sequence[str | None]) -> str:
        text = ""
        for value, separator, opening, closing in zip(
            values, self.separators, self.openings, self.closings, strict=True
        ):
            if value:
                text += (separator if text else "") + opening + value + closing
        return text + self.end if text else ""


def _cut(literal: str) -> tuple[str, str, str]:
    match = BETWEEN.fullmatch(literal)
    # Every part of the pattern may be empty, and the last one matches anything.
    closing, separator, opening = match.groups() if match else ("", literal, "")
    return closing, separator, opening


def _parse(template: str) -> tuple[list[str], list[str]]:
    """Return the field names (n,) and the literals around them (n + 1,)."""
    fields, literals = [], [""]
    try:
        for literal, name, spec, conversion in string.Formatter().parse(template):
            literals[-1] += literal
            if name is None:
                continue
            if spec or conversion:
                raise ConfigError(
                    f"the template {template!r} has a formatted field: expected `{{{name}}}` only. "
                    "Leave the format out."
                )
            fields.append(name)
            literals.append("")
    except ValueError as error:
        raise ConfigError(
            f"the template {template!r} is malformed: {error}. Write a literal brace twice."
        ) from None
    return fields, literals


def _check_fields(template: str, fields: Sequence[str], items: pl.DataFrame) -> None:
    known = ", ".join(items.columns)
    if not fields:
        raise ConfigError(
            f"the template {template!r} names no column: expected at least one of {known}. "
            "Write, for example, `{title}`."
        )
    for name in fields:
        if name not in items.columns:
            raise ConfigError(
                f"the template {template!r} names an unknown column: expected one of {known}, got `{name}`. "
                "Correct the name."
            )
        if not _is_text(items[name].dtype):
            raise ConfigError(
                f"the template {template!r} names a column without text: expected text or numbers, "
                f"got {items[name].dtype} in `{name}`. Leave it out."
            )


def _is_text(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.List):
        dtype = dtype.inner  # type: ignore[assignment]  # an instance in a column's schema
        return not dtype.is_nested() and _is_text(dtype)
    return dtype.is_numeric() or dtype in (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null)


def _is_prose(values: pl.Series) -> bool:
    if values.dtype not in (pl.String, pl.List(pl.String)):
        return False
    words = _as_text(values).str.count_matches(r"\S+").drop_nulls()
    return 2 * int((words > 1).sum()) > len(words)


def _as_text(values: pl.Series) -> pl.Series:
    frame = values.rename("text").to_frame()
    column = pl.col("text")
    if isinstance(values.dtype, pl.List):
        element = _clean(pl.element().cast(pl.String))
        column = column.list.eval(element.filter(element.str.len_bytes() > 0)).list.join(", ")
    elif values.dtype.is_float():
        column = column.fill_nan(None)
    return frame.select(_clean(column.cast(pl.String)))["text"]


def _clean(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(r"\s+", " ").str.strip_chars()
