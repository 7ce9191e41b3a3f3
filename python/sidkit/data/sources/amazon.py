"""Amazon product data of 2014, read from its two published files per category.

`reviews_<Category>_5.json.gz` (5-core) has a JSON object per line, `meta_<Category>.json.gz` a Python
literal per line. Both are streamed; literals are parsed, never executed. The dataset was published for
research with a request to cite: He & McAuley, WWW 2016; McAuley et al., SIGIR 2015.
"""

from __future__ import annotations

import ast
import gzip
import html
import json
import os
import re
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from sidkit.data.sources._base import DatasetSource, Progress, SourceTables
from sidkit.data.sources._download import download
from sidkit.errors import DataError

__all__ = ["AmazonReviews"]

# Short name of each category, and its name in the published files.
CATEGORIES = {
    "apps": "Apps_for_Android",
    "automotive": "Automotive",
    "baby": "Baby",
    "beauty": "Beauty",
    "books": "Books",
    "clothing": "Clothing_Shoes_and_Jewelry",
    "digital-music": "Digital_Music",
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
LONGEST_LINE = 1 << 20
LONGEST_DESCRIPTION = 2000
ASIN = re.compile(r"\{'asin': '([^']+)'")
TAG = re.compile(r"<[^>]*>")


class AmazonReviews(DatasetSource):
    """One category of the Amazon product data of 2014 (5-core).

    Interactions (user_id, item_id, rating, timestamp) and items have the ids of the source. Events keep the
    order of the file, which is by item. Times have a resolution of one day, so that the order of events with
    tied timestamps has no meaning. Items are those with a review, by first review: item_id, title, brand,
    categories ("A > B > C", the longest path), price, description. Entities are decoded, tags removed and
    descriptions truncated to 2,000 characters. An item without metadata has nulls.
    """

    names = tuple(f"amazon-{category}" for category in CATEGORIES)

    def read(self, downloads: Path, progress: Progress | None = None) -> SourceTables:
        """Find the two files in `downloads`, or download them from `SIDKIT_AMAZON_URL`, and convert them.

        Raises:
            DataError: if a file is missing or damaged, or a line is malformed; the message names the line.
        """
        reviews, metadata = self._files(downloads, progress)
        interactions = _read_reviews(reviews, progress)
        ids = interactions["item_id"].unique(maintain_order=True)
        known = _read_metadata(metadata, set(ids.to_list()), progress)
        rows = [{"item_id": asin, **known.get(asin, {})} for asin in ids.to_list()]
        return SourceTables(interactions, pl.DataFrame(rows, schema=ITEM_SCHEMA), (reviews, metadata))

    def _files(self, downloads: Path, progress: Progress | None) -> list[Path]:
        files = [downloads / file for file in _file_names(self.name.removeprefix("amazon-"))]
        address = os.environ.get("SIDKIT_AMAZON_URL")
        for path in files:
            if not path.is_file() and address:
                download(f"{address.rstrip('/')}/{path.name}", path, progress)
        missing = [path.name for path in files if not path.is_file()]
        if missing:
            raise DataError(
                f"`{self.name}` needs two files of the Amazon product data of 2014: "
                f"expected {' and '.join(missing)} in `{downloads}`, got none. Put them there, "
                "or set SIDKIT_AMAZON_URL to the address of the directory that has them."
            )
        return files


def _file_names(category: str) -> tuple[str, str]:
    """Return the published names of the reviews and the metadata of a category such as `beauty`."""
    return f"reviews_{CATEGORIES[category]}_5.json.gz", f"meta_{CATEGORIES[category]}.json.gz"


def _read_reviews(path: Path, progress: Progress | None) -> pl.DataFrame:
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    columns: tuple[array[Any], ...] = array("i"), array("i"), array("f"), array("q")
    for number, line in _lines(path, progress):
        try:
            review = json.loads(line)
            user, item = str(review["reviewerID"]), str(review["asin"])
            rating, time = _finite(review["overall"]), int(review["unixReviewTime"])
            if not -(2**63) <= time < 2**63:
                raise ValueError(f"the time {time} is out of range")
            _check_text(user + item)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise DataError(
                f"line {number} of `{path}` is malformed: expected a JSON object with reviewerID, asin, "
                f"overall and unixReviewTime, got {line[:80]!r} ({error!r}). Fetch the file again."
            ) from None
        row = users.setdefault(user, len(users)), items.setdefault(item, len(items)), rating, time
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    if not users:
        raise DataError(f"`{path}` is empty: expected at least one review, got none. Fetch it again.")
    return pl.DataFrame(
        {
            "user_id": pl.Series(list(users)).gather(pl.Series(columns[0])),
            "item_id": pl.Series(list(items)).gather(pl.Series(columns[1])),
            "rating": pl.Series(columns[2], dtype=pl.Float32),
            "timestamp": pl.Series(columns[3]),
        }
    )


def _read_metadata(path: Path, ids: set[str], progress: Progress | None) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}
    for number, line in _lines(path, progress):
        # Most lines are of items without enough reviews, and parsing is slow.
        early = ASIN.match(line)
        if early and early[1] not in ids:
            continue
        try:
            entry = json.loads(line) if line.startswith('{"') else ast.literal_eval(line)
            _check_text(asin := str(entry["asin"]))
            if asin in ids and asin not in known:
                known[asin] = _item(entry)
        except (
            ValueError,
            SyntaxError,
            KeyError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
            MemoryError,
        ) as error:
            raise DataError(
                f"line {number} of `{path}` is malformed: expected a Python literal or a JSON object with an "
                f"asin, got {line[:80]!r} ({type(error).__name__}). Fetch the file again."
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
        "price": _finite(entry["price"]) if entry.get("price") is not None else None,
        "description": description and description[:LONGEST_DESCRIPTION].rstrip(),
    }


def _finite(number: Any) -> float:
    """Return a number as float32 can hold it, or raise ValueError."""
    value = float(number)
    if not abs(value) < 3.4e38:
        raise ValueError(f"{value} is out of range")
    return value


def _check_text(text: str) -> None:
    """Raise UnicodeEncodeError, a ValueError, if a text holds half of a surrogate pair."""
    text.encode()


def _clean(text: str | None) -> str | None:
    if text is None:
        return None
    _check_text(text)
    return " ".join(TAG.sub(" ", html.unescape(text)).split()) or None


def _lines(path: Path, progress: Progress | None) -> Iterator[tuple[int, str]]:
    """Yield the lines of a compressed file with their numbers from 1; progress counts compressed bytes."""
    total = path.stat().st_size
    try:
        with path.open("rb") as raw, gzip.open(raw) as file:
            number = 0
            while line := file.readline(LONGEST_LINE):
                number += 1
                if len(line) == LONGEST_LINE:
                    raise DataError(
                        f"line {number} of `{path}` is too long: expected at most {LONGEST_LINE} bytes. "
                        "Fetch the file again."
                    )
                if progress and number % 4096 == 0:
                    progress(raw.tell(), total)
                yield number, line.decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"`{path}` is damaged or not a .json.gz file: {error}. Fetch it again.") from error
    if progress:
        progress(total, total)
