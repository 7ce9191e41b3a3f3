"""Base of recommenders that score items by a sparse matrix of item-to-item scores."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from sidkit._arguments import TopK
from sidkit._extras import require
from sidkit._stored import Stored, check_compressed_rows
from sidkit.data import Sequences
from sidkit.errors import FormatError
from sidkit.recommenders import storage
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

    _stored: ClassVar[dict[str, Stored]] = {
        "matrix_data_": Stored(np.floating, ("values",)),
        "matrix_columns_": Stored(np.integer, ("values",)),
        "matrix_offsets_": Stored(np.integer, ("items and the end",)),
    }

    @property
    def matrix_(self) -> Sparse:
        """Scores of items for an item of the history, `scipy.sparse.csr_array`, float32 (items, items)."""
        self._check_fitted()
        arrays = self.matrix_data_, self.matrix_columns_, self.matrix_offsets_
        items = len(self.matrix_offsets_) - 1
        return sparse.csr_array(arrays, shape=(items, items))

    def _load_state(self, path: Path) -> None:
        super()._load_state(path)
        file, items = path / storage.WEIGHTS, len(self.item_ids_)
        check_compressed_rows(file, self.matrix_offsets_, self.matrix_columns_, items)
        if len(self.matrix_offsets_) != items + 1:
            raise FormatError(
                f"`{file}` is damaged: expected a row for each of {items} items, got "
                f"{len(self.matrix_offsets_) - 1}. Fit it again."
            )

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
