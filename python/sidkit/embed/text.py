"""One line of text per item, from a template over the catalogue's columns."""

from __future__ import annotations

import re
import string
import warnings
from collections.abc import Sequence

import polars as pl

from sidkit.errors import ConfigError, DataError

__all__ = ["default_template", "item_texts"]

# What each field of a catalogue is called in the data sets we know, in the order in which a text reads well.
FIELDS = (
    ("title", "name", "product_name", "movie_title"),
    ("brand", "author", "artist", "maker", "manufacturer"),
    ("categories", "category", "genres", "genre", "class"),
    ("release_year", "year"),
    ("price",),
    ("description", "abstract", "summary", "overview"),
)

# A literal between two fields: what closes the left one, what stands between, what opens the right one.
# In "{title} ({year}), by {brand}" that is "" + " " + "(", then ")" + ", " + "by ".
BETWEEN = re.compile(r"(?s)([)\]}»\u201d\u2019\"'%]*)([^\w(\[{«\u201c\u2018\"'$€£¥#@]*)(.*)")


def default_template(items: pl.DataFrame) -> str:
    """Name the columns with text: title, brand, categories, year, price, description.

    Other columns of text stand in only where neither a title nor a description is there, and only those in
    which most values have several words: more often than not they are codes, addresses or repetitions. Name
    them in a template of your own to use them.

    Raises:
        DataError: if there is no column of text.
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
            "`items` has no column of text, only "
            + ", ".join(f"`{name}` ({d})" for name, d in items.schema.items())
            + "; add a title, or give vectors of your own"
        )
    return ". ".join(f"{{{name}}}" for name in known)


def item_texts(items: pl.DataFrame, template: str | None = None) -> list[str]:
    """Write the text of every item.

    A template is text with column names in braces: `{title} ({year}). {brand}. Price: {price}`. A field that
    is null or blank vanishes with its brackets, its label and the punctuation before it; white space is
    collapsed, lists are joined with commas. An item in which all fields are missing gets an empty text:
    nothing is made up for it, and a warning tells how many there are.

    Args:
        items: the catalogue, one row per item.
        template: by default that of `default_template`.

    Returns:
        One text per row.

    Raises:
        ConfigError: if the template names no column, or one that is not there.
        DataError: if no item has any text.
    """
    fields, literals = _parse(default_template(items) if template is None else template, items)
    columns = [_as_text(items[name]).to_list() for name in fields]
    parts = _Parts(literals)
    texts = [parts.join(values) for values in zip(*columns, strict=True)]
    blank = [row for row, text in enumerate(texts) if not text]
    asked = ", ".join(f"`{name}`" for name in fields)
    if len(blank) == len(texts):
        raise DataError(f"no item has any text in {asked}")
    if blank:
        first = ", ".join(repr(items["item_id"][row]) for row in blank[:5])
        warnings.warn(
            f"{len(blank)} of {len(texts)} items have no text in {asked}, such as {first}; "
            "they all get the vector of the empty text, and so the same Semantic ID: "
            "give them text, or vectors of your own",
            stacklevel=2,
        )
    return texts


class _Parts:
    """A template, taken apart so that each field knows its brackets, its label and its separator."""

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
    # The pattern has only parts that may be empty, the last of which takes anything.
    closing, separator, opening = match.groups() if match else ("", literal, "")
    return closing, separator, opening


def _parse(template: str, items: pl.DataFrame) -> tuple[list[str], list[str]]:
    """Field names (n,) and the literals around them (n + 1,)."""
    fields, literals = [], [""]
    try:
        for literal, name, spec, conversion in string.Formatter().parse(template):
            literals[-1] += literal
            if name is None:
                continue
            if spec or conversion:
                raise ConfigError(f"the field `{{{name}}}` of a template takes no format; got {template!r}")
            fields.append(name)
            literals.append("")
    except ValueError as error:
        raise ConfigError(
            f"the template {template!r} is broken: {error}; write a brace twice to mean itself"
        ) from None
    known = ", ".join(items.columns)
    if not fields:
        raise ConfigError(
            f"the template {template!r} names no column; write for instance `{{title}}`; there are {known}"
        )
    for name in fields:
        if name not in items.columns:
            raise ConfigError(
                f"the template {template!r} names `{name}`, which is no column of `items`; there are {known}"
            )
        if not _is_text(items[name].dtype):
            raise ConfigError(
                f"the template {template!r} names `{name}`, whose type {items[name].dtype} is no text"
            )
    return fields, literals


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
