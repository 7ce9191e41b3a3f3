"""Hybrid retrieval: a weighted sum of the scores of several retrievers."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sidkit._settings import Count, Seed
from sidkit._stored import Stored
from sidkit.decode.ranking import Ranked
from sidkit.errors import ConfigError, FormatError
from sidkit.search import storage
from sidkit.search.base import FitData, Retriever
from sidkit.search.collection import QuerySet
from sidkit.search.evaluation import query_metrics
from sidkit.search.registry import RETRIEVERS

__all__ = ["Hybrid"]

_STEPS = 10
#: With fewer queries the differences between weights are noise.
_FEWEST_QUERIES = 20


@dataclass(kw_only=True, eq=False, repr=False)
class Hybrid(Retriever):
    """Weighted sum of standardized scores of several retrievers.

    Every retriever lists `depth` documents. Its scores are standardized per query, to mean 0 and variance 1
    over its list, and a document that is not in the list has the lowest score of the list. The weights are
    those of a grid with the highest NDCG@10 on the validation queries; without queries they are equal.

    Attributes:
        weights_: weight of each retriever, float64 (retrievers,), with sum 1.
        parts_: the fitted retrievers.

    Example:
        >>> ids, scores = Hybrid().fit(collection).search("statins and breast cancer", k=10)
    """

    method: ClassVar[str] = "hybrid"
    _stored: ClassVar[dict[str, Stored]] = {"weights_": Stored(np.floating, ("retrievers",))}

    retrievers: Sequence[Any] = ("bm25", "dense", "sid")
    """Retrievers, or their methods for default settings."""
    depth: Count = 1000
    """Documents that each retriever lists."""
    encoder: str = "minilm"
    """Sentence encoder of retrievers that are given by their method."""
    cache: str | None = None
    """Directory of cached vectors of retrievers that are given by their method."""
    seed: Seed = 0
    """Seed of retrievers that are given by their method, and of the choice of held-out queries."""

    def _fit(self, data: FitData) -> None:
        parts = self._built()
        # Queries that choose the weights must not be among those that a retriever was trained on.
        honest = replace(data, held_out=False)
        for part in parts:
            part.fit_data(honest)
        self.parts_ = parts
        self.weights_ = self._chosen_weights(data.validation)
        if data.held_out:
            for part in parts:
                part.fit_data(data)

    def _built(self) -> list[Retriever]:
        if not self.retrievers or isinstance(self.retrievers, str):
            raise ConfigError(
                "`retrievers` is invalid: expected a list of retrievers or of their methods, got "
                f"{self.retrievers!r}. Name at least one."
            )
        given = {"encoder": self.encoder, "cache": self.cache, "seed": self.seed}
        built = []
        for each in self.retrievers:
            if not isinstance(each, str):
                built.append(each)
                continue
            cls = RETRIEVERS[each]
            known = cls._signature()
            built.append(cls(**{name: value for name, value in given.items() if name in known}))
        return built

    def _chosen_weights(self, queries: QuerySet) -> npt.NDArray[np.float64]:
        count = len(self.parts_)
        if len(queries) < _FEWEST_QUERIES or count == 1:
            return np.full(count, 1 / count)
        lists = self._lists(queries.texts)
        best, chosen = -1.0, np.full(count, 1 / count)
        for weights in weight_grid(count):
            rows, _ = combined(lists, weights, 10)
            quality = float(query_metrics(rows, queries, ["ndcg@10"])["ndcg@10"].mean())
            if quality > best + 1e-12:
                best, chosen = quality, weights
        return chosen

    def _search(self, texts: list[str], k: int) -> Ranked:
        return combined(self._lists(texts), self.weights_, k)

    def _lists(self, texts: list[str]) -> list[Ranked]:
        depth = min(self.depth, len(self.documents_)) if "documents_" in vars(self) else self.depth
        return [part.search_rows(texts, depth) for part in self.parts_]

    def add_documents(self, documents: Any) -> "Hybrid":
        """Add documents to every retriever without training; see `Retriever.add_documents`."""
        self._check_fitted()
        for part in self.parts_:
            part.add_documents(documents)
        self.documents_ = self.parts_[0].documents_
        return self

    def _stored_settings(self) -> dict[str, Any]:
        return {**super()._stored_settings(), "retrievers": [part.method for part in self.parts_]}

    def _save_state(self, path: Path) -> None:
        super()._save_state(path)
        for place, part in enumerate(self.parts_):
            part.save(path / f"part{place}")

    def _load_state(self, path: Path) -> None:
        super()._load_state(path)
        places = range(len(self.retrievers))
        self.parts_ = [storage.load_retriever(path / f"part{place}") for place in places]
        if self.weights_.shape != (len(self.parts_),):
            raise FormatError(
                f"`{path}` is damaged: expected a weight for each of {len(self.parts_)} retrievers, got "
                f"{self.weights_.shape}. Fit it again."
            )


def weight_grid(count: int) -> list[npt.NDArray[np.float64]]:
    """List all weights that are multiples of 0.1 with sum 1; equal weights come first."""
    grid = [
        np.array(each, np.float64) / _STEPS
        for each in itertools.product(range(_STEPS + 1), repeat=count)
        if sum(each) == _STEPS
    ]
    return sorted(grid, key=lambda weights: float(np.square(weights).sum()))


def combined(lists: Sequence[Ranked], weights: npt.NDArray[np.float64], k: int) -> Ranked:
    """Rank documents by the weighted sum of standardized scores.

    Args:
        lists: of each retriever, rows int32 (m, depth) padded with -1, and scores float32 (m, depth).
        weights: float (retrievers,).
        k: documents per query.

    Returns:
        Rows int32 (m, k) and scores float32 (m, k), padded with -1 and -inf; of equal scores the lower row
        comes first. A retriever of weight 0 adds no documents.
    """
    queries = len(lists[0][0])
    out, best = np.full((queries, k), -1, np.int32), np.full((queries, k), -np.inf, np.float32)
    used = [
        (rows, standardized(scores), weight)
        for (rows, scores), weight in zip(lists, weights, strict=True)
        if weight
    ]
    for query in range(queries):
        found = np.unique(np.concatenate([rows[query][rows[query] >= 0] for rows, _, _ in used]))
        total = np.zeros(len(found))
        for rows, scores, weight in used:
            real = rows[query] >= 0
            if not real.any():
                continue
            values = np.full(len(found), scores[query][real].min())
            values[np.searchsorted(found, rows[query][real])] = scores[query][real]
            total += weight * values
        order = np.argsort(-total, kind="stable")[:k]
        out[query, : len(order)], best[query, : len(order)] = found[order], total[order]
    return out, best


def standardized(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Shift and scale every row to mean 0 and variance 1, ignoring padding; constant rows become 0."""
    real = np.isfinite(scores)
    count = np.maximum(real.sum(axis=1, keepdims=True), 1)
    values = np.where(real, scores, 0).astype(np.float64)
    centred = np.where(real, values - values.sum(axis=1, keepdims=True) / count, 0)
    deviation = np.sqrt(np.square(centred).sum(axis=1, keepdims=True) / count)
    return np.where(real, centred / np.maximum(deviation, 1e-6), -np.inf)
