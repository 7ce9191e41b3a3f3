"""Tree of Semantic IDs whose prefixes have vectors: beam search for the documents of a query vector."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from sidkit.decode.ranking import Ranked, top_k
from sidkit.errors import DataError

__all__ = ["PrefixTree"]

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
Spans = list[tuple[int, int]]

_SCORES_AT_ONCE = 8_000_000


@dataclass(frozen=True, eq=False)
class PrefixTree:
    """Documents in the order of their Semantic IDs, and the vectors of all prefixes.

    The vector of a prefix has the direction of the mean of the vectors of its documents, and the mean of
    their lengths: the mean vector itself is shorter the more documents differ, so that prefixes of few
    documents would have the higher scores. The score of a prefix is the inner product of its vector with that
    of the query; the score of a document is that of its own vector, which is exact whatever the prefixes are.

    Attributes:
        order: row of the document at each place, int64 (n,): documents sorted by Semantic ID.
        vectors: vector of the document at each place, float32 (n, d).
        children: of each level, the first child of every prefix, int64 (prefixes + 1,). Children of prefixes
            of the last level are places of documents.
        prefixes: of each level, the vectors of its prefixes, float32 (prefixes, d).
    """

    order: Int64
    vectors: Float32
    children: tuple[Int64, ...]
    prefixes: tuple[Float32, ...]

    @classmethod
    def build(cls, tokens: npt.NDArray[np.integer], vectors: Float32) -> PrefixTree:
        """Sort documents and compute the vectors of prefixes.

        Args:
            tokens: tokens of every document, (n, levels); documents may share a Semantic ID.
            vectors: float32 (n, d).

        Raises:
            DataError: if there is no document or level, or the numbers of rows differ.
        """
        if tokens.ndim != 2 or not tokens.size or len(tokens) != len(vectors):
            raise DataError(
                f"tokens and vectors do not fit: expected (n, levels) and (n, d), got {tokens.shape} and "
                f"{vectors.shape}. Pass one row of each per document."
            )
        order = np.lexsort(tokens.T[::-1]).astype(np.int64)
        starts = prefix_starts(tokens[order])
        bounds = [np.append(each, len(order)) for each in starts]
        children = [np.searchsorted(below, above).astype(np.int64) for above, below in pairwise(bounds)]
        ordered = np.ascontiguousarray(vectors[order])
        return cls(order, ordered, (*children, bounds[-1]), tuple(_centres(ordered, each) for each in bounds))

    def __len__(self) -> int:
        return len(self.order)

    @property
    def widest(self) -> int:
        """Largest number of prefixes of a level; a beam of this width makes the search exact."""
        return max(len(each) for each in self.prefixes)

    def search(self, queries: Float32, k: int, beam: int) -> Ranked:
        """Find the documents with the highest scores below the best prefixes of each level.

        Args:
            queries: float32 (m, d).
            k: documents per query.
            beam: prefixes kept at each level. With `widest` or more, the search is exact.

        Returns:
            Document rows int32 (m, k), best first, padded with -1, and scores float32 (m, k), padded with
            -inf.
        """
        if beam >= self.widest:
            return self._exact(queries, k)
        rows = np.full((len(queries), k), -1, np.int32)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        for place, query in enumerate(queries):
            *_, spans = self._spans(query, beam)
            values = _scored(self.vectors, spans, query)
            best = _best(values, k)
            rows[place, : len(best)] = self.order[_places(spans)[best]]
            scores[place, : len(best)] = values[best]
        return rows, scores

    def work(self, queries: Float32, beam: int) -> float:
        """Compute the mean number of inner products per query."""
        if beam >= self.widest:
            return float(len(self))
        total = sum(
            high - low for query in queries for part in self._spans(query, beam) for low, high in part
        )
        return total / max(1, len(queries))

    def _exact(self, queries: Float32, k: int) -> Ranked:
        inverse = np.empty_like(self.order)
        inverse[self.order] = np.arange(len(self.order))
        step = max(1, _SCORES_AT_ONCE // len(self))
        parts = [
            top_k((queries[start : start + step] @ self.vectors.T)[:, inverse], k)
            for start in range(0, len(queries), step)
        ]
        return np.concatenate([rows for rows, _ in parts]), np.concatenate([values for _, values in parts])

    def _spans(self, query: Float32, beam: int) -> list[Spans]:
        """Return the ranges of prefixes that are scored at each level, and last those of documents."""
        spans: Spans = [(0, len(self.prefixes[0]))]
        found = [spans]
        for vectors, children in zip(self.prefixes, self.children, strict=True):
            values = _scored(vectors, spans, query)
            nodes = _places(spans)
            if len(nodes) > beam:
                nodes = np.sort(nodes[np.argpartition(values, len(values) - beam)[len(values) - beam :]])
            spans = _merged(children[nodes], children[nodes + 1])
            found.append(spans)
        return found


def _scored(vectors: Float32, spans: Spans, query: Float32) -> Float32:
    """Compute inner products with the rows of some ranges, which are contiguous and need no copy."""
    return np.concatenate([vectors[low:high] @ query for low, high in spans])


def _places(spans: Spans) -> Int64:
    return np.concatenate([np.arange(low, high) for low, high in spans])


def _merged(low: Int64, high: Int64) -> Spans:
    """Return ranges, of which adjacent ones become one."""
    first = np.flatnonzero(np.append(True, low[1:] != high[:-1]))
    last = np.append(first[1:] - 1, len(low) - 1)
    return list(zip(low[first].tolist(), high[last].tolist(), strict=True))


def prefix_starts(tokens: npt.NDArray[np.integer]) -> list[Int64]:
    """Find the first row of every prefix, for each length, in sorted tokens (n, levels)."""
    changed = np.zeros(len(tokens), bool)
    changed[0] = True
    starts = []
    for column in tokens.T:
        changed[1:] |= column[1:] != column[:-1]
        starts.append(np.flatnonzero(changed).astype(np.int64))
    return starts


def _centres(vectors: Float32, bounds: Int64) -> Float32:
    """Compute the mean direction of the vectors of every range, with the mean of their lengths."""
    means = np.add.reduceat(vectors, bounds[:-1], axis=0, dtype=np.float64)
    lengths = np.add.reduceat(np.linalg.norm(vectors, axis=1), bounds[:-1], dtype=np.float64)
    sums = np.linalg.norm(means, axis=1)
    return (means * (lengths / np.where(sums > 0, sums, 1.0) / np.diff(bounds))[:, None]).astype(np.float32)


def _best(values: Float32, k: int) -> Int64:
    """Return the places of the k largest values, largest first; of equal ones, the first."""
    if k >= len(values):
        return np.argsort(-values, kind="stable")
    bound = np.partition(values, len(values) - k)[len(values) - k]
    some = np.flatnonzero(values >= bound)
    return some[np.argsort(-values[some], kind="stable")][:k].astype(np.int64)
