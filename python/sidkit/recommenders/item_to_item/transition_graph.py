"""Transition graph: which items follow which, within a few steps."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sidkit._settings import Count, NonNegative, Width
from sidkit._stored import Stored
from sidkit.recommenders.item_to_item.base import ItemToItem, Sparse, sparse, strongest
from sidkit.recommenders.new_items import NewItems
from sidkit.recommenders.training_data import TrainingData

__all__ = ["TransitionGraph"]

# Rows of content similarities computed at once: 1,024 rows of 100,000 items are 400 MB.
_CONTENT_ROWS = 1024


@dataclass(kw_only=True, eq=False, repr=False)
class TransitionGraph(ItemToItem):
    """Item-to-item transitions with content similarity (after arXiv 2605.07125), without training.

    The weight of an edge from item i to item j is the number of times that j followed i in one history, each
    divided by the distance of the two events. Edges against the order of time count less; content similarity
    and paths of two edges may be added. The scores of a history are the sum of the edges from its most recent
    items, discounted by recency. See also Ludewig and Jannach (arXiv 1803.09587) on sequential rules. It
    needs no Semantic IDs. Items that are added later have edges of content similarity,
    or none if `fit` is given no item vectors.

    Attributes:
        content_vectors_: unit content vectors, float16 (items, d), if `fit` is given item vectors.
        content_floors_: content similarity of the last of `content_neighbors`, float32 (items,).
        content_sums_: sum of the content similarities of these, float32 (items,).

    Example:
        >>> model = TransitionGraph().fit(split.train, item_vectors=x)
        >>> ids, scores = model.recommend([50, 172, 181], k=10)
    """

    method: ClassVar[str] = "transition_graph"
    _stored: ClassVar[dict[str, Stored]] = ItemToItem._stored | {
        "content_vectors_": Stored(np.floating, ("items", "d"), optional=True),
        "content_floors_": Stored(np.floating, ("items",), optional=True),
        "content_sums_": Stored(np.floating, ("items",), optional=True),
    }

    window: Count = 10
    """Largest distance of two events of a history that make an edge."""
    backward: NonNegative = 0.25
    """Weight of an edge against the order of time, relative to one in its direction."""
    shrinkage: NonNegative = 1.0
    """A discounted count c becomes c² / (c + shrinkage), so that single co-occurrences count less."""
    popularity: NonNegative = 0.0
    """Exponent of the popularity normalization: edges to an item are divided by its number of events to this
    power."""
    normalization: NonNegative = 0.5
    """Exponent of the sum of an item's outgoing edges by which these are divided; 1 gives transition
    probabilities."""
    hop: NonNegative = 0.0
    """Weight of paths of two edges, relative to direct edges."""
    content: NonNegative = 0.5
    """Weight of content similarity, whose rows sum to 1; used if `fit` is given item vectors."""
    content_neighbors: Count = 20
    """Most similar items by content that are added to each item."""
    content_power: NonNegative = 8.0
    """Exponent of the cosine similarity; the higher, the more the nearest items count."""
    neighbors: Count = 300
    """Outgoing edges per item from which paths of two edges are made, and paths kept per item; it limits
    memory and time."""
    recency: Annotated[float, Field(gt=0.0, le=1.0)] = 0.45
    """Factor by which each older item of a history counts less; 1 for none."""
    max_items: Width = 5
    """Most recent items of a history that are used."""

    @property
    def uses_item_vectors(self) -> bool:
        """True if `fit` uses item vectors."""
        return self.content > 0

    @property
    def compares_content(self) -> bool:
        """True if `fit` was given item vectors."""
        return "content_vectors_" in vars(self)

    def _matrix(self, data: TrainingData) -> Sparse:
        direct = self._transitions(data)
        graph = direct
        if self.hop:
            pruned = strongest(direct, self.neighbors)
            paths = strongest(_without_loops(pruned @ pruned), self.neighbors)
            graph = graph + self.hop * _normalized(paths, 1.0)
        if data.item_vectors is not None:
            graph = graph + self.content * self._content_edges(np.asarray(data.item_vectors, np.float32))
        return graph

    def _transitions(self, data: TrainingData) -> Sparse:
        """Return normalized direct edges, float64 (N, N)."""
        edges = sparse.csr_array((data.items, data.items), dtype=np.float64)
        for histories in data.history_parts():
            items = histories.values
            user = np.repeat(np.arange(len(histories)), histories.lengths)
            for step in range(1, min(self.window, int(histories.lengths.max(initial=1)) - 1) + 1):
                near = (user[:-step] == user[step:]) & (items[:-step] != items[step:])
                ends = items[:-step][near], items[step:][near]
                edges += sparse.csr_array((np.full(len(ends[0]), 1 / step), ends), shape=edges.shape)
        edges = (edges + self.backward * edges.T).tocsr()
        if self.shrinkage:
            edges.data *= edges.data / (edges.data + self.shrinkage)
        if self.popularity:
            edges = edges @ sparse.diags_array((data.item_counts + 1.0) ** -self.popularity)
        return _normalized(edges, self.normalization)

    def _content_edges(self, vectors: npt.NDArray[np.float32]) -> Sparse:
        """Return powers of the cosine to the nearest items, float64 (N, N); rows sum to 1 or are empty."""
        x = _units(vectors)
        row, column, strength, self.content_floors_, self.content_sums_ = self._nearest(x, x, 0)
        self.content_vectors_ = x.astype(np.float16)
        edges = sparse.csr_array((strength, (row, column)), shape=(len(x), len(x)))
        return _normalized(edges, 1.0)

    def _nearest(self, x: npt.NDArray[np.float32], every: npt.NDArray[np.float32], first: int) -> Any:
        """Find the nearest items by content.

        Args:
            x: unit vectors of some items, (n, d), whose rows in `every` begin with `first`.
            every: unit vectors of all items, (N, d).
            first: row of the first of them.

        Returns:
            Place in `x`, row in `every` and power of the cosine of each pair, float64; and the least power
            and the sum of the powers of each item of `x`, float32 (n,).
        """
        k = min(self.content_neighbors, len(every) - 1)
        found, strengths = [np.empty((0, k), np.int64)], [np.empty((0, k), np.float32)]
        for start in range(0, len(x) if k else 0, _CONTENT_ROWS):
            cosine = x[start : start + _CONTENT_ROWS] @ every.T  # (R, N)
            own = np.arange(len(cosine))
            cosine[own, own + first + start] = -1
            nearest = np.argpartition(-cosine, k - 1, axis=1)[:, :k].copy()  # not a view of all columns
            found.append(nearest)
            strengths.append(np.take_along_axis(cosine, nearest, 1))
        strength = np.maximum(np.concatenate(strengths), 0).astype(np.float64) ** self.content_power
        row = np.repeat(np.arange(len(strength)), k)
        floors = strength.min(axis=1, initial=np.inf) if k else np.zeros(len(x))
        sums = strength.sum(axis=1)
        return (
            row,
            np.concatenate(found).ravel(),
            strength.ravel(),
            floors.astype(np.float32),
            sums.astype(np.float32),
        )

    def _add(self, new: NewItems) -> None:
        if not self.compares_content:
            matrix = self.matrix_.copy()
            matrix.resize([size + len(new) for size in matrix.shape])
            self._set_matrix(matrix)
            return
        known = self.content_vectors_
        x = _units(new.require_vectors(self.method, known.shape[1]).astype(np.float32))
        every = np.concatenate([known.astype(np.float32), x])
        before, count = len(known), len(every)
        row, column, strength, floors, sums = self._nearest(x, every, before)
        own = _normalized(sparse.csr_array((strength, (row, column)), shape=(len(x), count)), 1.0)
        joining = [self._joining(x[start : start + _CONTENT_ROWS], every[:before]) for start in _starts(x)]
        grown = sparse.vstack(
            [sparse.hstack([self.matrix_, self.content * sparse.hstack(joining)]), self.content * own],
            format="csr",
        )
        self._set_matrix(grown)
        self.content_vectors_ = np.concatenate([known, x.astype(np.float16)])
        self.content_floors_ = np.concatenate([self.content_floors_, floors])
        self.content_sums_ = np.concatenate([self.content_sums_, sums])

    def _joining(self, x: npt.NDArray[np.float32], known: npt.NDArray[np.float32]) -> Sparse:
        """Return edges from known items to new ones, (N, n): where a new item is among the nearest."""
        cosine = known @ x.T
        cosine[cosine <= self.content_floors_[:, None] ** (1 / max(self.content_power, 1e-9))] = 0
        edges = sparse.csr_array(np.maximum(cosine, 0).astype(np.float64))
        edges.data **= self.content_power
        sums = np.maximum(self.content_sums_, self.content_floors_)
        return sparse.diags_array(1 / np.where(sums > 0, sums, 1).astype(np.float64)) @ edges


def _units(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale rows to length 1; rows of zeros stay."""
    x = vectors.astype(np.float32)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return x


def _starts(x: npt.NDArray[np.float32]) -> range:
    return range(0, len(x), _CONTENT_ROWS)


def _normalized(edges: Sparse, exponent: float) -> Sparse:
    """Divide every row by its sum to the power `exponent`; empty rows stay empty."""
    sums = edges.sum(axis=1)
    return (sparse.diags_array(np.where(sums > 0, sums, 1) ** -exponent) @ edges).tocsr()


def _without_loops(edges: Sparse) -> Sparse:
    edges = edges.tocsr()
    edges.setdiag(0)
    edges.eliminate_zeros()
    return edges
