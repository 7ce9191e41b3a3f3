"""The Amazon product data of 2014, from the two files per category in which it was published.

`reviews_<Category>_5.json.gz` (5-core) has a JSON object per line, `meta_<Category>.json.gz` a Python
literal per line. Both are streamed; literals are parsed, never run. The set was published for research with a
request to cite: He & McAuley, WWW 2016; McAuley et al., SIGIR 2015.
"""

from __future__ import annotations

import ast
import gzip
import html
import json
import re
import zlib
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from sidkit.errors import DataError

__all__ = ["CATEGORIES", "convert", "file_names"]

Progress = Callable[[int, int], None]

# The short name of each category, and how the published files spell it.
CATEGORIES = {
    "apps": "Apps_for_Android",
    "automotive": "Automotive",
    "baby": "Baby",
    "beauty": "Beauty",
    "books": "Books",
    "clothing": "Clothing_Shoes_and_Jewelry",
    "digital-music": "Tokenal_Music",
    "electronics": "Electronics",
    "games": "Video_Games",
    "grocery": "Grocery_and_Gourmet_Food",
    "health": "Health_and_Personal_Care",
    "home": "Home_and_Kitchen",
    "instruments": "Musical_Instruments",
    "kindle": "Kindle_Store",
    "movies": "Movies_and_TV",
    "music": "CDs_and_Vinyl",
    "office": "Office_Products",
    "patio": "Patio_Lawn_and_Garden",
    "pets": "Pet_Supplies",
    "phones": "Cell_Phones_and_Accessories",
    "sports": "Sports_and_Outdoors",
    "tools": "Tools_and_Home_Improvement",
    "toys": "Toys_and_Games",
    "video": "Amazon_Instant_Video",
}

ITEM_SCHEMA = {
    "item_id": pl.String,
    "title": pl.String,
    "brand": pl.String,
    "categories": pl.String,
    "price": pl.Float64,
    "description": pl.String,
}
LONGEST_LINE = 16 << 20
LONGEST_DESCRIPTION = 2000
ASIN = re.compile(r"\{'asin': '([^']+)'")
TAG = re.compile(r"<[^>]*>")


def file_names(category: str) -> tuple[str, str]:
    """The published names of the reviews and the metadata of a category such as `beauty`."""
    return f"reviews_{CATEGORIES[category]}_5.json.gz", f"meta_{CATEGORIES[category]}.json.gz"


def convert(
    reviews: Path, metadata: Path, progress: Progress | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read interactions (user_id, item_id, rating, timestamp) and items, both with the ids of the source.

    Events keep the order of the file, which goes by item; times have a resolution of one day, and the order
    of events with equal times is not real. Items are those with a review, in the order of their first one:
    item_id, title, brand, categories ("A > B > C", the longest path), price, description. Entities are
    decoded, tags dropped, descriptions cut at 2,000 characters. An item without metadata has nulls.

    Raises:
        DataError: if a file is damaged, or a line is not what it must be; the message names the line.
    """
    interactions = _read_reviews(reviews, progress)
    ids = interactions["item_id"].unique(maintain_order=True)
    known = _read_metadata(metadata, set(ids.to_list()), progress)
    rows = [{"item_id": asin, **known.get(asin, {})} for asin in ids.to_list()]
    return interactions, pl.DataFrame(rows, schema=ITEM_SCHEMA)


def _read_reviews(path: Path, progress: Progress | None) -> pl.DataFrame:
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    columns: tuple[array[Any], ...] = array("i"), array("i"), array("f"), array("q")
    for number, line in _lines(path, progress):
        try:
            review = json.loads(line)
            user, item = str(review["reviewerID"]), str(review["asin"])
            rating, time = float(review["overall"]), int(review["unixReviewTime"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                f"line {number} of `{path}` must be a JSON object with reviewerID, asin, overall and "
                f"unixReviewTime; got {line[:80]!r} ({error!r})"
            ) from None
        row = users.setdefault(user, len(users)), items.setdefault(item, len(items)), rating, time
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    if not users:
        raise DataError(f"`{path}` is empty: there must be at least one review")
    return pl.DataFrame(
        {
            "user_id": pl.Series(list(users)).gather(pl.Series(columns[0])),
            "item_id": pl.Series(list(items)).gather(pl.Series(columns[1])),
            "rating": pl.Series(columns[2], dtype=pl.Float32),
            "timestamp": pl.Series(columns[3]),
        }
    )


def _read_metadata(path: Path, wanted: set[str], progress: Progress | None) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}
    for number, line in _lines(path, progress):
        # Most lines are of items without enough reviews; to parse them would take most of the time.
        early = ASIN.match(line)
        if early and early[1] not in wanted:
            continue
        try:
            entry = json.loads(line) if line.startswith('{"') else ast.literal_eval(line)
            asin = str(entry["asin"])
            if asin in wanted and asin not in known:
                known[asin] = _item(entry)
        except (
            ValueError,
            SyntaxError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
            MemoryError,
        ) as error:
            raise DataError(
                f"line {number} of `{path}` must be a Python literal or a JSON object with an asin; "
                f"got {line[:80]!r} ({type(error).__name__})"
            ) from None
    return known


def _item(entry: dict[str, Any]) -> dict[str, Any]:
    paths = [[_clean(name) or "" for name in path] for path in entry.get("categories") or []]
    longest = max(paths, key=lambda path: len(path), default=None)
    description = _clean(entry.get("description"))
    return {
        "title": _clean(entry.get("title")),
        "brand": _clean(entry.get("brand")),
        "categories": " > ".join(longest) if longest else None,
        "price": float(entry["price"]) if entry.get("price") is not None else None,
        "description": description and description[:LONGEST_DESCRIPTION].rstrip(),
    }


def _clean(text: str | None) -> str | None:
    if text is None:
        return None
    return " ".join(TAG.sub(" ", html.unescape(text)).split()) or None


def _lines(path: Path, progress: Progress | None) -> Iterator[tuple[int, str]]:
    """Lines of a compressed file with their numbers, from 1 on; progress counts compressed bytes."""
    total = path.stat().st_size
    try:
        with path.open("rb") as raw, gzip.open(raw) as file:
            number = 0
            while line := file.readline(LONGEST_LINE):
                number += 1
                if len(line) == LONGEST_LINE:
                    raise DataError(f"line {number} of `{path}` is longer than {LONGEST_LINE} bytes")
                if progress and number % 4096 == 0:
                    progress(raw.tell(), total)
                yield number, line.decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"`{path}` is damaged or no .json.gz file: {error}; fetch it again") from error
    if progress:
        progress(total, total)
