"""BM25: ranking by the words that query and document share."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from sidkit._extras import require
from sidkit._settings import NonNegative
from sidkit._stored import Stored, check_compressed_rows
from sidkit.decode.ranking import Ranked, concatenated, top_k
from sidkit.errors import FormatError
from sidkit.search import storage
from sidkit.search.base import FitData, Retriever
from sidkit.search.words import INDEX_STOP_WORDS

__all__ = ["BM25"]

sparse = require("scipy.sparse", extra="search")

_WORD = re.compile(r"\w+")
_SCORES_AT_ONCE = 8_000_000


@dataclass(kw_only=True, eq=False, repr=False)
class BM25(Retriever):
    """BM25 with the inverse document frequency of Lucene (Kamphuis et al., ECIR 2020).

    The score of a document is the sum over the words t of the query of

        log(1 + (N - df_t + 0.5) / (df_t + 0.5)) · tf / (tf + k1 · (1 - b + b · length / mean length))

    where tf is the number of times that t occurs in the document, df_t the number of documents with t, and N
    the number of documents. Words are lower case; stop words are left out.

    Attributes:
        words_: distinct words, UTF-8 joined by line breaks, uint8.
        counts_: tf of each pair of word and document, float32, sorted by word.
        documents_of_words_: document row of each pair, int32.
        offsets_: first pair of each word, int64 (words + 1,).
        lengths_: words of every document, int64 (documents,).

    Example:
        >>> ids, scores = BM25().fit(collection).search("statins and breast cancer", k=10)
    """

    method: ClassVar[str] = "bm25"
    _stored: ClassVar[dict[str, Stored]] = {
        "words_": Stored(np.uint8, ("bytes",)),
        "counts_": Stored(np.floating, ("pairs",)),
        "documents_of_words_": Stored(np.integer, ("pairs",)),
        "offsets_": Stored(np.integer, ("words and the end",)),
        "lengths_": Stored(np.integer, ("documents",)),
    }

    k1: NonNegative = 0.9
    """Saturation of repeated words; 0 ignores repetitions."""
    b: Annotated[float, Field(ge=0.0, le=1.0)] = 0.4
    """Strength of the normalization by length."""
    language: Literal["english", "none"] = "english"
    """Stemmer and stop words: Porter's and Lucene's for `english`; `none` keeps all words as they are."""

    def _fit(self, data: FitData) -> None:
        self._index([Counter(words) for words in self._words(data.texts)])

    def _load_state(self, path: Path) -> None:
        super()._load_state(path)
        file = path / storage.ARRAYS
        check_compressed_rows(file, self.offsets_, self.documents_of_words_, len(self.documents_))
        try:
            words = self._names()
        except UnicodeDecodeError as error:
            raise FormatError(
                f"`{file}` is damaged: expected words of UTF-8 ({error}). Fit it again."
            ) from error
        if len(words) != len(self.offsets_) - 1 or len(set(words)) < len(words):
            raise FormatError(
                f"`{file}` is damaged: expected {len(self.offsets_) - 1} distinct words, got "
                f"{len(set(words))}. Fit it again."
            )
        if (self.counts_ <= 0).any() or (self.lengths_ < 0).any():
            raise FormatError(
                f"`{file}` is damaged: expected positive numbers of words, got {self.counts_.min(initial=1)} "
                f"at least. Fit it again."
            )

    def _add(self, texts: list[str]) -> None:
        old = self._pairs().T.tocsr()
        names = self._names()
        known = [
            Counter({names[word]: int(count) for word, count in zip(row.indices, row.data, strict=True)})
            for row in (old[[place]].tocsr() for place in range(old.shape[0]))
        ]
        self._index([*known, *(Counter(words) for words in self._words(texts))])

    def _index(self, documents: list[Counter[str]]) -> None:
        names = sorted({word for document in documents for word in document})
        rows = {word: row for row, word in enumerate(names)}
        words = np.array([rows[word] for document in documents for word in document], np.int64)
        counts = np.array([count for document in documents for count in document.values()], np.float32)
        owners = np.repeat(np.arange(len(documents)), [len(document) for document in documents])
        table = sparse.csr_array((counts, (words, owners)), shape=(len(names), len(documents)))
        table.sort_indices()
        self.words_ = np.frombuffer("\n".join(names).encode(), np.uint8)
        self.counts_, self.documents_of_words_ = table.data, table.indices.astype(np.int32)
        self.offsets_ = table.indptr.astype(np.int64)
        self.lengths_ = np.array([document.total() for document in documents], np.int64)
        self._forget_weights()

    def _search(self, texts: list[str], k: int) -> Ranked:
        weights = self._weights()
        rows = self._rows()
        step = max(1, _SCORES_AT_ONCE // len(self.lengths_))
        parts = []
        for start in range(0, len(texts), step):
            found = [
                [rows[word] for word in words if word in rows]
                for words in self._words(texts[start : start + step])
            ]
            columns = np.array([row for each in found for row in each], np.int64)
            owners = np.repeat(np.arange(len(found)), [len(each) for each in found])
            query = sparse.csr_array(
                (np.ones(len(columns), np.float32), (owners, columns)), shape=(len(found), len(rows))
            )
            scores = (query @ weights).toarray()
            scores[scores == 0] = -np.inf  # documents without a word of the query are not found
            parts.append(top_k(scores, k))
        return concatenated(parts, k)

    def _words(self, texts: list[str]) -> list[list[str]]:
        """Split texts into index words."""
        if self.language == "none":
            return [_WORD.findall(text.lower()) for text in texts]
        stemmer = require("Stemmer", extra="search").Stemmer("porter")
        return [
            stemmer.stemWords([word for word in _WORD.findall(text.lower()) if word not in INDEX_STOP_WORDS])
            for text in texts
        ]

    def _names(self) -> list[str]:
        return self.words_.tobytes().decode().split("\n") if len(self.words_) else []

    def _rows(self) -> dict[str, int]:
        """Row of every word; kept after the first call."""
        if "_cached_rows" not in vars(self):
            self._cached_rows: dict[str, int] = {word: row for row, word in enumerate(self._names())}
        return self._cached_rows

    def _pairs(self) -> Any:
        """Word counts, `scipy.sparse.csr_array` (words, documents)."""
        shape = (len(self.offsets_) - 1, len(self.lengths_))
        return sparse.csr_array((self.counts_, self.documents_of_words_, self.offsets_), shape=shape)

    def _weights(self) -> Any:
        """Score of every pair of word and document, `csr_array` (words, documents); computed once."""
        if "_cached_weights" not in vars(self):
            table = self._pairs().astype(np.float64)
            documents = len(self.lengths_)
            frequency = np.diff(self.offsets_)
            idf = np.log1p((documents - frequency + 0.5) / (frequency + 0.5))
            relative = self.lengths_ / max(self.lengths_.mean(), 1e-12)
            norm = self.k1 * (1 - self.b + self.b * relative)
            counts = table.data
            table.data = np.repeat(idf, frequency) * counts / (counts + norm[table.indices])
            self._cached_weights: Any = table.astype(np.float32)
        return self._cached_weights

    def _forget_weights(self) -> None:
        for name in ("_cached_rows", "_cached_weights"):
            vars(self).pop(name, None)
