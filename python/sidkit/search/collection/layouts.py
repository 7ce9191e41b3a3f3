"""Document collections from files in the layouts of sidkit, BEIR and TREC."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

import polars as pl

from sidkit._tables import read_csv, read_parquet
from sidkit.errors import DataError
from sidkit.search.collection.tables import SPLITS, Collection

__all__ = ["is_collection", "load_collection"]

T = TypeVar("T")
Tables = tuple[pl.DataFrame, pl.DataFrame | None, pl.DataFrame | None]

_INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"


def is_collection(path: str | os.PathLike[str]) -> bool:
    """Return True if a directory holds a document collection in a known layout."""
    directory = Path(path)
    return directory.is_dir() and _layout(directory) is not None


def load_collection(
    path: str | os.PathLike[str], *, unknown: Literal["error", "drop"] = "error"
) -> Collection:
    """Load a document collection from a directory.

    Three layouts are recognized by their files:

    - `documents`, `queries` and `qrels`, each `.parquet` or `.csv`, with the columns of
      `Collection.from_frames`. Queries and qrels may be missing.
    - BEIR: `corpus.jsonl` and `queries.jsonl` (`_id`, `title`, `text`), and `qrels/<split>.tsv` with
      a header.
    - TREC and MS MARCO: `collection.tsv` (id, text, or id, title, text), `queries.<split>.tsv` (id, text)
      and `qrels.<split>.txt` or `.tsv` (query, iteration, document, relevance), without headers.

    In the last two, a query that occurs in the qrels of several splits belongs to the last of train,
    validation, test, and its labels of the other splits are kept with it.

    Args:
        path: the directory.
        unknown: what happens to labels of unknown queries or documents: `error` or `drop`.

    Raises:
        DataError: if a file is missing, unreadable, or has invalid content.
    """
    directory = Path(path)
    layout = _layout(directory) if directory.is_dir() else None
    if layout is None:
        there = (
            ", ".join(sorted(each.name for each in directory.iterdir())[:12]) or "nothing"
            if directory.is_dir()
            else "no such directory"
        )
        raise DataError(
            f"`{directory}` is not a document collection: expected documents.parquet, documents.csv, "
            f"corpus.jsonl or collection.tsv, got {there}. Add the files or correct the path."
        )
    documents, queries, qrels = layout(directory)
    return Collection.from_frames(documents, queries, qrels, name=directory.resolve().name, unknown=unknown)


def _layout(directory: Path) -> Callable[[Path], Tables] | None:
    if any((directory / f"documents{suffix}").is_file() for suffix in (".parquet", ".csv")):
        return _read_tables
    if (directory / "corpus.jsonl").is_file():
        return _read_beir
    if (directory / "collection.tsv").is_file():
        return _read_trec
    return None


def _read_tables(directory: Path) -> Tables:
    tables = []
    for name in ("documents", "queries", "qrels"):
        paths = [directory / f"{name}{suffix}" for suffix in (".parquet", ".csv")]
        path = next((each for each in paths if each.is_file()), None)
        tables.append(None if path is None else _read_table(path))
    documents, queries, qrels = _plain_integers(tables, directory)
    assert documents is not None
    return documents, queries, qrels


def _read_table(path: Path) -> pl.DataFrame:
    if path.suffix == ".csv":
        return _guarded(path, lambda: read_csv(path, as_text=True))
    return _guarded(path, lambda: read_parquet(path))


def _plain_integers(tables: list[pl.DataFrame | None], directory: Path) -> list[pl.DataFrame | None]:
    """Convert ids of CSV files to integers where every file writes them plainly."""
    for column in ("doc_id", "query_id"):
        texts = [
            table[column]
            for table in tables
            if table is not None and column in table.columns and table.schema[column] == pl.String
        ]
        others = [
            table[column].dtype.is_integer()
            for table in tables
            if table is not None and column in table.columns and table.schema[column] != pl.String
        ]
        # Only a CSV file beside a table with integers leaves its type open.
        if texts and any(others) and all(bool(each.str.contains(_INTEGER).all()) for each in texts):
            tables = [
                table.with_columns(pl.col(column).cast(pl.Int64))
                if table is not None and column in table.columns
                else table
                for table in tables
            ]
    return tables


def _read_beir(directory: Path) -> Tables:
    documents = _read_lines(directory / "corpus.jsonl", {"_id": "doc_id", "title": "title", "text": "text"})
    queries, qrels = None, None
    if (directory / "queries.jsonl").is_file():
        queries = _read_lines(directory / "queries.jsonl", {"_id": "query_id", "text": "text"})
    parts = {}
    for path in sorted((directory / "qrels").glob("*.tsv")):
        table = _read_columns(path, header=True)
        parts[_split_of(path)] = _renamed(path, table, ["query_id", "doc_id", "relevance"])
    if parts:
        queries, qrels = _with_splits(queries, parts, directory)
    return documents, queries, qrels


def _read_lines(path: Path, names: dict[str, str]) -> pl.DataFrame:
    schema = {name: pl.String for name in names}
    table = _guarded(path, lambda: pl.read_ndjson(io.BytesIO(path.read_bytes()), schema=schema))
    if table["_id"].null_count():
        raise DataError(
            f"`{path}` has lines without `_id`: expected a string in every line, got none in line "
            f"{int(table['_id'].is_null().arg_true()[0]) + 1}. Correct the file."
        )
    return table.rename(names)


def _read_trec(directory: Path) -> Tables:
    documents = _read_columns(directory / "collection.tsv")
    wide = ["doc_id", "title", "text"] if documents.width == 3 else ["doc_id", "text"]
    documents = _renamed(directory / "collection.tsv", documents, wide)
    files = [*sorted(directory.glob("queries*.tsv")), *sorted(directory.glob("topics*.tsv"))]
    tables = [_renamed(path, _read_columns(path), ["query_id", "text"]) for path in files]
    queries = pl.concat(tables).unique(["query_id", "text"], maintain_order=True) if tables else None
    parts = {}
    for path in [*sorted(directory.glob("qrels*.txt")), *sorted(directory.glob("qrels*.tsv"))]:
        table = _renamed(path, _read_blanks(path), ["query_id", "iteration", "doc_id", "relevance"])
        parts[_split_of(path)] = table.drop("iteration")
    if not parts:
        return documents, queries, None
    queries, qrels = _with_splits(queries, parts, directory)
    return documents, queries, qrels


def _read_columns(path: Path, *, header: bool = False) -> pl.DataFrame:
    return _guarded(
        path,
        lambda: read_csv(path, as_text=True, separator="\t", header=header, quotes=False),
    )


def _read_blanks(path: Path) -> pl.DataFrame:
    """Read columns that are separated by any white space, as in the qrels of TREC."""
    lines = _guarded(path, lambda: path.read_text(encoding="utf-8").splitlines())
    rows = [line.split() for line in lines if line.strip()]
    wrong = next((number for number, row in enumerate(rows, 1) if len(row) != 4), None)
    if wrong is not None or not rows:
        raise DataError(
            f"`{path}` is not a file of qrels: expected query, iteration, document and relevance, "
            f"got {f'{len(rows[wrong - 1])} in row {wrong}' if wrong else 'no rows'}. "
            "Correct the file."
        )
    return pl.DataFrame(rows, schema=[f"column_{place}" for place in range(1, 5)], orient="row")


def _renamed(path: Path, table: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    if table.width != len(names):
        raise DataError(
            f"`{path}` has the wrong number of columns: expected {', '.join(names)}, got {table.width}. "
            "Correct the file."
        )
    return table.rename(dict(zip(table.columns, names, strict=True)))


def _with_splits(
    queries: pl.DataFrame | None, parts: dict[str, pl.DataFrame], directory: Path
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give every query the split of its qrels; queries without qrels are those of `train`."""
    if queries is None:
        raise DataError(f"`{directory}` has qrels and no queries: expected a file of queries. Add it.")
    split: dict[str, str] = {}
    for name in ("train", "validation", "test"):
        if name in parts:
            split |= dict.fromkeys(parts[name]["query_id"].to_list(), name)
    assigned = [split.get(each, "train") for each in queries["query_id"].to_list()]
    qrels = pl.concat(list(parts.values())).unique(maintain_order=True)
    return queries.with_columns(pl.Series("split", assigned, pl.String)), qrels


def _split_of(path: Path) -> str:
    """Find the split in the name of a file; `qrels.txt` is taken for that of `test`."""
    found = [SPLITS[word] for word in re.split(r"[^a-z]+", path.stem.lower()) if word in SPLITS]
    return found[-1] if found else "test"


def _guarded(path: Path, read: Callable[[], T]) -> T:
    try:
        with path.open("rb") as file:
            if path.suffix != ".parquet" and b"\0" in file.read(4096):
                raise DataError(
                    f"`{path}` is not a text file: expected UTF-8, got zero bytes. Save it as UTF-8."
                )
        return read()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"`{path}` is not a readable {path.suffix[1:]} file: {first}. Write it again."
        ) from error
