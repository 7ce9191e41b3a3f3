"""A document collection as three tables: documents, queries and qrels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit.data.frames import to_polars
from sidkit.data.id_columns import check_id_column, rows_of, some
from sidkit.errors import ConfigError, DataError

__all__ = ["Collection", "QuerySet", "document_texts"]

#: Names of splits; the keys are accepted spellings.
SPLITS = {
    "train": "train",
    "dev": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
#: Text columns in the order in which they are joined.
FIELDS = ("title", "text", "abstract", "body", "contents")

_RELEVANCE_LIMIT = 1000


@dataclass(frozen=True, eq=False)
class QuerySet:
    """Queries of one split with the relevance of documents.

    Attributes:
        query_ids: id of each of m queries, a polars Series.
        texts: text of each query.
        query_rows: query of each relevance label, a row in 0..m, int64 (labels,), ascending.
        doc_rows: document of each relevance label, a row of the collection, int64 (labels,).
        relevance: int64 (labels,); 1 or more is relevant.
        split: `train`, `validation` or `test`; empty for a mixture.
    """

    query_ids: pl.Series
    texts: list[str]
    query_rows: npt.NDArray[np.int64]
    doc_rows: npt.NDArray[np.int64]
    relevance: npt.NDArray[np.int64]
    split: str = ""

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: npt.NDArray[np.integer[Any]]) -> QuerySet:
        """Return the queries with these rows, in their order; each row at most once."""
        place = np.full(len(self), -1, np.int64)
        place[rows] = np.arange(len(rows))
        kept = np.flatnonzero(place[self.query_rows] >= 0)
        kept = kept[np.argsort(place[self.query_rows[kept]], kind="stable")]
        return QuerySet(
            self.query_ids.gather(rows.tolist()),
            [self.texts[row] for row in rows],
            place[self.query_rows[kept]],
            self.doc_rows[kept],
            self.relevance[kept],
            self.split,
        )

    def relevant(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return query rows and document rows of all relevant pairs, int64 (pairs,) each."""
        kept = self.relevance >= 1
        return self.query_rows[kept], self.doc_rows[kept]


@dataclass(frozen=True, eq=False)
class Collection:
    """Documents, queries and relevance labels; `from_frames` and `load_collection` make and check them.

    Attributes:
        documents: polars DataFrame of n documents: `doc_id` and text columns.
        queries: polars DataFrame: `query_id`, `text`, and `split` (`train`, `validation` or `test`).
        qrels: polars DataFrame: `query_id`, `doc_id`, and `relevance` (int64; 1 or more is relevant).
        name: name of the collection.
    """

    documents: pl.DataFrame
    queries: pl.DataFrame
    qrels: pl.DataFrame
    name: str = ""

    @classmethod
    def from_frames(
        cls,
        documents: Any,
        queries: Any = None,
        qrels: Any = None,
        *,
        name: str = "",
        unknown: Literal["error", "drop"] = "error",
    ) -> Collection:
        """Check three tables and make a collection of them.

        Args:
            documents: `doc_id` (distinct integers or strings) and at least one text column.
            queries: `query_id` (distinct), `text`, and optionally `split`; without it all queries are those
                of `train`. `dev` and `val` mean `validation`.
            qrels: `query_id`, `doc_id`, `relevance` (integers); without `relevance` every pair is relevant.
            name: name of the collection.
            unknown: what happens to labels whose query or document is in neither table: `error`, or `drop`
                them with a warning.

        Raises:
            DataError: if a table or column is missing, or ids are missing, repeated or unknown.
            ConfigError: if `unknown` has another value.
        """
        if unknown not in ("error", "drop"):
            raise ConfigError(
                f"`unknown` is invalid: expected `error` or `drop`, got {unknown!r}. Correct it."
            )
        docs = _with_ids(to_polars(documents, "documents"), "doc_id", "documents")
        if not _text_columns(docs):
            raise DataError(
                "`documents` has no text: expected a string column such as `title` or `text`, got "
                f"{', '.join(docs.columns)}. Add one."
            )
        asked = _checked_queries(queries)
        labels = _checked_qrels(qrels, asked, docs, unknown)
        return cls(docs, asked, labels, name)

    def __len__(self) -> int:
        return len(self.documents)

    def __repr__(self) -> str:
        splits = ", ".join(f"{len(self.split(each))} {each}" for each in self.splits)
        queries = f"{len(self.queries)} queries" + (f" ({splits})" if splits else "")
        return (
            f"Collection({self.name or 'unnamed'}: {len(self)} documents, {queries}, {len(self.qrels)} qrels)"
        )

    @property
    def doc_ids(self) -> pl.Series:
        """Id of every document."""
        return self.documents["doc_id"]

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that have a query, in the order train, validation, test."""
        found = set(self.queries["split"].to_list())
        return tuple(each for each in ("train", "validation", "test") if each in found)

    def split(self, name: str) -> QuerySet:
        """Return the queries of one split that have at least one relevant document, with their labels.

        Raises:
            ConfigError: if there is no such split name.
        """
        if name not in ("train", "validation", "test"):
            raise ConfigError(
                f"the split is unknown: expected `train`, `validation` or `test`, got {name!r}. Correct it."
            )
        return query_set(self.queries.filter(pl.col("split") == name), self.qrels, self.doc_ids, name)


def query_set(queries: pl.DataFrame, qrels: pl.DataFrame, doc_ids: pl.Series, split: str = "") -> QuerySet:
    """Select the queries with a relevant document and translate their labels to rows."""
    ids = queries["query_id"]
    useful = qrels.filter(pl.col("relevance") >= 1)["query_id"].unique()
    chosen = queries.filter(ids.is_in(useful.implode()))
    labels = qrels.filter(qrels["query_id"].is_in(chosen["query_id"].implode()))
    query_rows = rows_of(labels["query_id"], chosen["query_id"], "query").astype(np.int64)
    order = np.argsort(query_rows, kind="stable")
    doc_rows = rows_of(labels["doc_id"], doc_ids, "document").astype(np.int64)
    relevance = labels["relevance"].to_numpy()
    texts = chosen["text"].to_list()
    return QuerySet(chosen["query_id"], texts, query_rows[order], doc_rows[order], relevance[order], split)


def document_texts(documents: pl.DataFrame) -> list[str]:
    """Join the text columns of every document with a space: title, text, then others.

    A document without any text has the empty text, and a warning reports their number.

    Args:
        documents: table with `doc_id` and text columns; if it has `title` or `text`, other columns that are
            no usual text fields are ignored.

    Raises:
        DataError: if no document has any text.
    """
    columns = [pl.col(name).fill_null("") for name in _text_columns(documents)]
    joined = documents.select(
        pl.concat_str(columns, separator=" ").str.replace_all(r"\s+", " ").str.strip_chars().alias("text")
    )["text"]
    blank = joined.str.len_bytes() == 0
    if blank.all():
        raise DataError("no document has any text: expected text in at least one, got none. Add texts.")
    if blank.any():
        first = some(documents["doc_id"].filter(blank))
        warnings.warn(
            f"{int(blank.sum())} of {len(joined)} documents have no text, such as {first}", stacklevel=2
        )
    return joined.to_list()


def _text_columns(documents: pl.DataFrame) -> list[str]:
    texts = [name for name in documents.columns if name != "doc_id" and documents.schema[name] == pl.String]
    usual = [name for name in FIELDS if name in texts]
    return usual or texts


def _with_ids(table: pl.DataFrame, column: str, name: str) -> pl.DataFrame:
    if column not in table.columns:
        raise DataError(
            f"`{name}` has no column `{column}`: expected it in {', '.join(table.columns) or 'no columns'}. "
            "Rename or add it."
        )
    ids = check_id_column(table[column], column, name)
    if ids.n_unique() < len(ids):
        repeated = ids.filter(ids.is_duplicated()).unique(maintain_order=True)
        raise DataError(
            f"`{name}` has repeated ids: expected each `{column}` once, got several rows for "
            f"{len(repeated)} ids, such as {some(repeated)}. Keep one row of each."
        )
    return table.with_columns(ids)


def _checked_queries(queries: Any) -> pl.DataFrame:
    if queries is None:
        return pl.DataFrame(schema={"query_id": pl.String, "text": pl.String, "split": pl.String})
    table = _with_ids(to_polars(queries, "queries"), "query_id", "queries")
    if "text" not in table.columns or table.schema["text"] != pl.String:
        raise DataError(
            "`queries` has no text: expected a string column `text`, got "
            + ", ".join(f"`{name}` ({dtype})" for name, dtype in table.schema.items())
            + ". Rename or add it."
        )
    blank = table["text"].fill_null("").str.strip_chars().str.len_bytes() == 0
    if blank.any():
        raise DataError(
            f"{int(blank.sum())} queries are blank: expected text in every row, got none for "
            f"{some(table['query_id'].filter(blank))}. Drop them."
        )
    if "split" not in table.columns:
        return table.with_columns(pl.lit("train").alias("split")).select("query_id", "text", "split")
    given = table["split"].cast(pl.String).fill_null("null")
    names = given.replace_strict(SPLITS, default=None, return_dtype=pl.String)
    if names.null_count():
        wrong = given.filter(names.is_null()).unique(maintain_order=True)
        raise DataError(
            f"`split` of `queries` is unknown: expected train, validation or test, got {some(wrong)}. "
            "Correct it."
        )
    return table.with_columns(names.alias("split")).select("query_id", "text", "split")


def _checked_qrels(qrels: Any, queries: pl.DataFrame, documents: pl.DataFrame, unknown: str) -> pl.DataFrame:
    ids = {"query_id": queries["query_id"], "doc_id": documents["doc_id"]}
    if qrels is None:
        kinds = {name: each.dtype for name, each in ids.items()}
        return pl.DataFrame(schema={**kinds, "relevance": pl.Int64})
    table = to_polars(qrels, "qrels")
    missing = [name for name in ids if name not in table.columns]
    if missing:
        raise DataError(
            f"`qrels` has no column `{missing[0]}`: expected `query_id`, `doc_id` and `relevance`, got "
            f"{', '.join(table.columns)}. Rename or add it."
        )
    if "relevance" not in table.columns:
        table = table.with_columns(pl.lit(1, pl.Int64).alias("relevance"))
    table = table.select("query_id", "doc_id", _relevance(table["relevance"]))
    for name, known in ids.items():
        table = _known_only(table, name, known, unknown)
    if table.select("query_id", "doc_id").is_duplicated().any():
        twice = table.filter(table.select("query_id", "doc_id").is_duplicated()).row(0)
        raise DataError(
            "`qrels` has repeated pairs: expected one label per query and document, got several for query "
            f"{twice[0]!r} and document {twice[1]!r}. Keep one."
        )
    return table


def _relevance(column: pl.Series) -> pl.Series:
    try:
        found = column.cast(pl.Int64)
        exact = not column.dtype.is_float() or bool(
            (found.cast(column.dtype) == column).fill_null(True).all()
        )
    except pl.exceptions.PolarsError:
        found, exact = column, False
    if not exact or found.null_count() or (len(found) and not found.abs().max() <= _RELEVANCE_LIMIT):  # type: ignore[operator]
        raise DataError(
            f"`relevance` of `qrels` is invalid: expected integers from 0 (not relevant) to "
            f"{_RELEVANCE_LIMIT}, got {column.dtype} such as {some(column.unique(maintain_order=True), 3)}. "
            "Correct it."
        )
    return found.rename("relevance")


def _known_only(table: pl.DataFrame, name: str, known: pl.Series, unknown: str) -> pl.DataFrame:
    kind = "query" if name == "query_id" else "document"
    if not len(table):
        return table.with_columns(pl.col(name).cast(known.dtype))
    given = check_id_column(table[name], name, "qrels")
    if given.dtype.is_integer() != known.dtype.is_integer() and len(known):
        raise DataError(
            f"`{name}` of `qrels` has the wrong type: expected {known.dtype} as in the other table, got "
            f"{given.dtype}. Cast one of them."
        )
    found = given.cast(pl.Int64 if known.dtype.is_integer() else pl.String).is_in(
        known.cast(pl.Int64 if known.dtype.is_integer() else pl.String).implode()
    )
    if found.all():
        return table.with_columns(given.cast(known.dtype))
    strange = given.filter(~found).unique(maintain_order=True)
    if unknown == "error":
        raise DataError(
            f"`qrels` names unknown ids: expected {kind} ids such as {some(known, 3)}, got "
            f'{some(strange, 3)} ({len(strange)} in total). Add them, or pass `unknown="drop"`.'
        )
    warnings.warn(f"{int((~found).sum())} relevance labels of unknown {kind} ids are dropped", stacklevel=4)
    return table.filter(found).with_columns(pl.col(name).cast(known.dtype))
