"""Approximate dense retrieval with an inverted file of faiss, for comparison."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sidkit._extras import require
from sidkit._settings import Count, Seed
from sidkit._stored import Stored
from sidkit.decode.ranking import Ranked
from sidkit.search.base import FitData, Retriever
from sidkit.search.encoder import encode

__all__ = ["IVF"]


@dataclass(kw_only=True, eq=False, repr=False)
class IVF(Retriever):
    """Search in the clusters nearest to the query, `IndexIVFFlat` of faiss with inner products.

    Attributes:
        vectors_: vector of every document, float32 (documents, d), of length 1.

    Example:
        >>> ids, scores = IVF(probes=16).fit(collection).search("statins and breast cancer", k=10)
    """

    method: ClassVar[str] = "ivf"
    _stored: ClassVar[dict[str, Stored]] = {"vectors_": Stored(np.floating, ("documents", "d"))}

    encoder: str = "minilm"
    """Sentence encoder, as in `sidkit.embed.embed_texts`."""
    cache: str | None = None
    """Directory of cached vectors."""
    lists: Count | None = None
    """Number of clusters; None for the square root of the number of documents."""
    probes: Count = 8
    """Clusters that are searched per query."""
    seed: Seed = 0
    """Seed of the clustering."""

    def _fit(self, data: FitData) -> None:
        require("faiss", extra="search")
        self.vectors_ = encode(data.texts, self.encoder, self.cache)
        self._build()

    def _add(self, texts: list[str]) -> None:
        fresh = encode(texts, self.encoder, self.cache)
        self.vectors_ = np.concatenate([self.vectors_, fresh])
        self._index.add(fresh)

    def _load_state(self, path: Any) -> None:
        super()._load_state(path)
        self._build()

    def _build(self) -> None:
        faiss = require("faiss", extra="search")
        documents, dim = self.vectors_.shape
        lists = min(self.lists or max(1, round(documents**0.5)), documents)
        self._index: Any = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, lists, faiss.METRIC_INNER_PRODUCT)
        self._index.cp.seed = self.seed + 1
        self._index.cp.min_points_per_centroid = 1
        self._index.train(self.vectors_)
        self._index.add(self.vectors_)

    def _search(self, texts: list[str], k: int) -> Ranked:
        self._index.nprobe = min(self.probes, self._index.nlist)
        scores, rows = self._index.search(encode(texts, self.encoder, self.cache), k)
        scores[rows < 0] = -np.inf
        return rows.astype(np.int32), scores
