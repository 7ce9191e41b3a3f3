"""Dense retrieval: exact search by the inner products of text vectors."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sidkit._stored import Stored
from sidkit.decode.ranking import Ranked, concatenated, top_k
from sidkit.search.base import FitData, Retriever
from sidkit.search.encoder import encode

__all__ = ["Dense"]

_SCORES_AT_ONCE = 8_000_000


@dataclass(kw_only=True, eq=False, repr=False)
class Dense(Retriever):
    """Exact search for the documents whose vectors have the highest cosine similarity with the query's.

    Attributes:
        vectors_: vector of every document, float32 (documents, d), of length 1.

    Example:
        >>> ids, scores = Dense().fit(collection).search("statins and breast cancer", k=10)
    """

    method: ClassVar[str] = "dense"
    _stored: ClassVar[dict[str, Stored]] = {"vectors_": Stored(np.floating, ("documents", "d"))}

    encoder: str = "minilm"
    """Sentence encoder, as in `sidkit.embed.embed_texts`."""
    cache: str | None = None
    """Directory of cached vectors."""

    def _fit(self, data: FitData) -> None:
        self.vectors_ = encode(data.texts, self.encoder, self.cache)

    def _add(self, texts: list[str]) -> None:
        self.vectors_ = np.concatenate([self.vectors_, encode(texts, self.encoder, self.cache)])

    def _search(self, texts: list[str], k: int) -> Ranked:
        queries = encode(texts, self.encoder, self.cache)
        step = max(1, _SCORES_AT_ONCE // len(self.vectors_))
        parts = [
            top_k(queries[start : start + step] @ self.vectors_.T, k) for start in range(0, len(texts), step)
        ]
        return concatenated(parts, k)
