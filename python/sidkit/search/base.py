"""The contract of all retrievers: settings, fit, search, add documents, evaluate, save and load."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import TopK, check_argument
from sidkit._params import Parameters
from sidkit._settings import check_arguments
from sidkit._stored import Stored, arrays_of, restore_arrays, write_stored
from sidkit.decode.ranking import Ranked
from sidkit.errors import ConfigError, DataError, NotFittedError
from sidkit.search import storage
from sidkit.search.collection import Collection, QuerySet, document_texts
from sidkit.search.evaluation import METRICS, SearchEvaluation, metric_name

__all__ = ["FitData", "Retriever", "ids_of_rows"]

Self = TypeVar("Self", bound="Retriever")

#: Of the training queries, held out for the choice of settings if there are no validation queries.
_HELD_OUT, _MOST_HELD_OUT = 0.2, 500
_FEWEST_TO_HOLD_OUT = 20


@dataclass(frozen=True)
class FitData:
    """Training data of a retriever.

    Attributes:
        collection: documents, and queries of all splits.
        texts: text of every document.
        train: training queries.
        validation: validation queries; a random part of the training queries if the collection has none.
        held_out: True if `validation` was taken from the training queries.
    """

    collection: Collection
    texts: list[str]
    train: QuerySet
    validation: QuerySet
    held_out: bool

    @classmethod
    def of(cls, collection: Collection, seed: int) -> "FitData":
        """Choose training and validation queries; queries of `test` are never used."""
        texts = document_texts(collection.documents)
        train, validation = collection.split("train"), collection.split("validation")
        held_out = not len(validation) and len(train) >= _FEWEST_TO_HOLD_OUT
        if held_out:
            order = np.random.default_rng(seed).permutation(len(train))
            count = min(round(_HELD_OUT * len(train)), _MOST_HELD_OUT)
            validation = train.take(np.sort(order[:count]))
            train = train.take(np.sort(order[count:]))
        return cls(collection, texts, train, validation, held_out)

    def everything(self) -> QuerySet:
        """Return the training queries, with those that were held out."""
        return self.collection.split("train") if self.held_out else self.train


class Retriever(Parameters, ABC):
    """Base class of all retrievers.

    A retriever is a dataclass of settings. A subclass sets `method` and implements `_fit` and `_search`.
    NumPy arrays whose attribute names end in `_` are saved and loaded with it.

    Attributes:
        method: name of the retriever in configurations and files.
        documents_: `doc_id` and `title` of every document, a polars DataFrame.
    """

    method: ClassVar[str]
    _stored: ClassVar[dict[str, Stored] | None] = None

    documents_: pl.DataFrame

    @property
    def doc_ids_(self) -> pl.Series:
        """Id of every document."""
        self._check_fitted()
        return self.documents_["doc_id"]

    def fit(self: Self, documents: Any, queries: Any = None, qrels: Any = None) -> Self:
        """Learn from documents, and from queries with relevance labels if there are any.

        Queries of the split `train` are learned from, and settings are chosen by those of `validation`, or by
        a part of the training queries if there are none. Queries of `test` are not used.

        Args:
            documents: a `Collection`, or a table as for `Collection.from_frames`.
            queries: table of queries; None with a collection.
            qrels: table of relevance labels; None with a collection.

        Returns:
            The fitted retriever itself.

        Raises:
            ConfigError: if a setting is out of range.
            DataError: if the tables are invalid.
        """
        check_arguments(self)
        if isinstance(documents, Collection):
            if queries is not None or qrels is not None:
                raise ConfigError(
                    "`fit` has too many arguments: expected a collection alone, got more. Leave them out."
                )
            collection = documents
        else:
            collection = Collection.from_frames(documents, queries, qrels)
        return self.fit_data(FitData.of(collection, int(getattr(self, "seed", 0))))

    def fit_data(self: Self, data: FitData) -> Self:
        """Learn from data that are prepared already; see `fit`."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        self._fit(data)
        self.documents_ = _described(data.collection.documents)
        return self

    def search(
        self, queries: str | Sequence[str], k: int = 10
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        """Find the best documents for one query or a batch.

        Args:
            queries: one text, or a sequence of texts.
            k: documents per query.

        Returns:
            ids: document ids (m, k), best first: int64, padded with -1, or an object array of strings, padded
                with None, where there are fewer documents. One text gives (k,).
            scores: float32 of the same shape, padded with -inf; their meaning depends on the retriever.

        Raises:
            NotFittedError: before `fit`.
            ConfigError: if `k` is not in 1..1048576.
            DataError: if a query is not text, or blank.
        """
        rows, scores = self.search_rows([queries] if isinstance(queries, str) else queries, k)
        ids = ids_of_rows(self.documents_["doc_id"], rows)
        return (ids[0], scores[0]) if isinstance(queries, str) else (ids, scores)

    def search_rows(self, queries: Sequence[str], k: int = 10) -> Ranked:
        """Find documents as rows of `documents_`, int32 (m, k) padded with -1; see `search`."""
        self._check_fitted()
        k = check_argument("k", k, TopK)
        texts = list(queries)
        for row, text in enumerate(texts):
            if not isinstance(text, str) or not text.strip():
                raise DataError(f"query {row} is invalid: expected text, got {text!r}. Leave it out.")
        if not texts:
            return np.empty((0, k), np.int32), np.empty((0, k), np.float32)
        return self._search(texts, k)

    def add_documents(self: Self, documents: Any) -> Self:
        """Add documents without training; those that exist keep their rows.

        Args:
            documents: table with `doc_id` and text columns, as for `fit`.

        Returns:
            The retriever itself.

        Raises:
            NotFittedError: before `fit`.
            ConfigError: if the retriever has to be fitted again for new documents.
            DataError: if the table is invalid, or has a document that exists.
        """
        self._check_fitted()
        fresh = Collection.from_frames(documents).documents
        known = self.documents_["doc_id"]
        if fresh["doc_id"].dtype.is_integer() != known.dtype.is_integer():
            raise DataError(
                f"`doc_id` has the wrong type: expected {known.dtype}, got {fresh['doc_id'].dtype}. Cast it."
            )
        described = _described(fresh).with_columns(pl.col("doc_id").cast(known.dtype))
        both = pl.concat([self.documents_, described])
        if both["doc_id"].n_unique() < len(both):
            twice = both["doc_id"].filter(both["doc_id"].is_duplicated())
            raise DataError(
                f"a document exists already: expected new ids, got {twice[0]!r} again. Leave it out."
            )
        before, self.documents_ = self.documents_, both
        try:
            self._add(document_texts(fresh))
        except BaseException:
            self.documents_ = before
            raise
        return self

    def evaluate(
        self, queries: QuerySet, metrics: Iterable[str] = METRICS, *, batch_size: int = 512
    ) -> SearchEvaluation:
        """Evaluate on queries with relevance labels, such as `collection.split("test")`.

        Args:
            queries: queries with labels of the documents of this retriever, in the order of `fit`.
            metrics: names such as `ndcg@10`.
            batch_size: queries that are searched at once.

        Raises:
            NotFittedError: before `fit`.
            ConfigError: if a metric is unknown.
            DataError: if there is no query.
        """
        self._check_fitted()
        names = tuple(metrics)
        if not len(queries) or not names:
            raise DataError(
                f"nothing to evaluate: expected queries and metrics, got {len(queries)} and {len(names)}."
            )
        k = min(max(metric_name(name)[1] for name in names), len(self.documents_))
        parts = [
            self.search_rows(queries.texts[start : start + batch_size], k)[0]
            for start in range(0, len(queries), batch_size)
        ]
        facts = {"documents": len(self.documents_), "seed": getattr(self, "seed", None)}
        return SearchEvaluation.of(self.method, np.concatenate(parts), queries, names, **facts)

    def save(self, path: str | Path) -> None:
        """Write the fitted retriever to a directory, atomically; a retriever that is there is replaced.

        Raises:
            NotFittedError: before `fit`.
            FileExistsError: if the directory holds other files.
        """
        self._check_fitted()
        with storage.saved(path, self.method, self._stored_settings()) as files:
            storage.write_documents(files, self.documents_)
            self._save_state(files)

    @classmethod
    def load(cls: type[Self], path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            FormatError: if a file is missing, damaged, or of another retriever.
        """
        path = Path(path)
        retriever: Self = storage.build(cls, storage.read_description(path, cls.method), path)
        retriever.documents_ = storage.read_documents(path)
        retriever._load_state(path)
        return retriever

    @abstractmethod
    def _fit(self, data: FitData) -> None:
        """Learn from the data; attributes of what is learned end in `_`."""

    @abstractmethod
    def _search(self, texts: list[str], k: int) -> Ranked:
        """Find documents for at least one query."""

    def _add(self, texts: list[str]) -> None:
        """Add documents with these texts; their ids are the last of `documents_` already."""
        raise ConfigError(
            f"`{self.method}` cannot add documents: expected a retriever such as `sid`, `dense` or `bm25`. "
            "Fit it again on all documents."
        )

    def _stored_settings(self) -> dict[str, Any]:
        return self.get_params(deep=False)

    def _save_state(self, path: Path) -> None:
        """Write what was learned; by default the arrays of `_stored`."""
        write_stored(path / storage.ARRAYS, arrays_of(self, self._stored))

    def _load_state(self, path: Path) -> None:
        """Read what `_save_state` wrote."""
        restore_arrays(self, path / storage.ARRAYS, self._stored, documents=len(self.documents_))

    def _check_fitted(self) -> None:
        if "documents_" not in vars(self):
            raise NotFittedError(f"{type(self).__name__} is not fitted. Call `fit` or `load` first.")


def ids_of_rows(ids: pl.Series, rows: npt.NDArray[np.integer]) -> npt.NDArray[Any]:
    """Translate document rows to ids: int64, with -1 for padding, or an object array, with None."""
    plain = ids.dtype.is_integer()
    known: npt.NDArray[Any] = ids.cast(pl.Int64).to_numpy() if plain else np.array(ids.to_list(), object)
    found: npt.NDArray[Any] = known[np.maximum(rows, 0)]
    found[rows < 0] = -1 if plain else None
    return found


def _described(documents: pl.DataFrame) -> pl.DataFrame:
    """Select ids and titles; without a column `title`, the first words of the text are the title."""
    if "title" in documents.columns and documents.schema["title"] == pl.String:
        titles = documents["title"].fill_null("")
    else:
        titles = pl.Series(
            [" ".join(text.split()[:12]) for text in document_texts(documents)], dtype=pl.String
        )
    return pl.DataFrame({"doc_id": documents["doc_id"], "title": titles})
