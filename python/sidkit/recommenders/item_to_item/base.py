"""Base of recommenders that score items by a sparse matrix of item-to-item scores."""

from abc import abstractmethod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sidkit._arguments import TopK
from sidkit._extras import require
from sidkit.data import Sequences
from sidkit.recommenders.baselines import ExhaustiveRecommender
from sidkit.recommenders.training_data import TrainingData

__all__ = ["ItemToItem", "Sparse", "sparse", "strongest"]

sparse = require("scipy.sparse", extra="train")

#: A `scipy.sparse.csr_array`, which has no type annotations.
Sparse: TypeAlias = Any


class ItemToItem(ExhaustiveRecommender):
    """A recommender that adds the rows of a matrix that belong to the recent items of a history.

    A subclass is a dataclass with the settings `recency` and `max_items`, and implements `_matrix`.

    Attributes:
        matrix_data_: values of the matrix in CSR format, float32 (nnz,).
        matrix_columns_: column of each value, (nnz,).
        matrix_offsets_: first value of each row, (items + 1,).
    """

    matrix_data_: npt.NDArray[np.float32]
    matrix_columns_: npt.NDArray[np.integer[Any]]
    matrix_offsets_: npt.NDArray[np.integer[Any]]

    recency: float
    max_items: int

    @property
    def matrix_(self) -> Sparse:
        """Scores of items for an item of the history, `scipy.sparse.csr_array`, float32 (items, items)."""
        self._check_fitted()
        arrays = self.matrix_data_, self.matrix_columns_, self.matrix_offsets_
        items = len(self.matrix_offsets_) - 1
        return sparse.csr_array(arrays, shape=(items, items))

    @abstractmethod
    def _matrix(self, data: TrainingData) -> Sparse:
        """Compute the matrix, (items, items)."""

    def _fit(self, data: TrainingData) -> None:
        self._set_matrix(self._matrix(data))

    def _set_matrix(self, matrix: Sparse) -> None:
        matrix = matrix.tocsr()
        matrix.sort_indices()
        self.matrix_data_ = matrix.data.astype(np.float32)
        self.matrix_columns_, self.matrix_offsets_ = matrix.indices, matrix.indptr

    def _scores(self, histories: Sequences) -> npt.NDArray[np.float32]:
        recent = histories.tail(self.max_items)
        row = np.repeat(np.arange(len(recent)), recent.lengths)
        age = recent.offsets[1:][row] - 1 - np.arange(len(row))  # 0 for the last item
        weights = (self.recency ** age.astype(np.float64)).astype(np.float32)
        matrix = self.matrix_
        start = sparse.csr_array((weights, (row, recent.values)), shape=(len(recent), matrix.shape[0]))
        scores: npt.NDArray[np.float32] = (start @ matrix).toarray()
        return scores


def strongest(edges: Sparse, k: TopK) -> Sparse:
    """Keep the k largest values of every row; of equal ones, those of lower columns."""
    edges = edges.tocsr()
    edges.sort_indices()
    counts = np.diff(edges.indptr)
    row = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((-edges.data, row))  # stable
    kept = order[np.arange(len(row)) - edges.indptr[row] < k]
    return sparse.csr_array((edges.data[kept], (row[kept], edges.indices[kept])), shape=edges.shape)
