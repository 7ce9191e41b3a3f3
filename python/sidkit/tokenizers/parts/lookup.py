"""Base class of tokenizers whose codes are assigned to items and found by the nearest vector."""

import numpy as np
import numpy.typing as npt

from sidkit._core import assign_codes
from sidkit.tokenizers.base import Tokenizer
from sidkit.tokenizers.parts.arrays import Codes, State, Vectors
from sidkit.tokenizers.parts.files import take
from sidkit.tokenizers.parts.standardize import Standardizer

__all__ = ["LookupTokenizer"]

#: Maximum number of vectors that `assign_codes` compares at once, since codes have 16 bits.
_MOST_WORDS = 1 << 16


class LookupTokenizer(Tokenizer):
    """A tokenizer that assigns a path to every item of `fit` and finds it by the item's vector.

    A new vector has the path of the nearest vector of `fit` in standardized space; equal vectors have the
    path of the first. A new item therefore shares the codes of the most similar item, until the collision
    policy separates them.

    A prefix decodes to the mean of the items under it, and a prefix without items to the mean of the items
    under its longest prefix that has some.

    Attributes:
        standardizer_: mean and scale of every dimension.
        vectors_: float32 (items, dim), the standardized vectors with a path.
        paths_: uint16 (items, levels), their paths.
    """

    threads: int | None
    standardizer_: Standardizer
    vectors_: Vectors
    paths_: Codes

    def _store_paths(self, x: Vectors, known: npt.NDArray[np.intp], paths: Codes) -> None:
        """Store the paths, uint16 (known, levels), of some of the vectors of `fit`."""
        standardizer = Standardizer.fit(x)
        self._index(standardizer, standardizer.apply(x[known]), paths)

    def _index(self, standardizer: Standardizer, vectors: Vectors, paths: Codes) -> None:
        self.standardizer_, self.vectors_, self.paths_ = standardizer, vectors, paths
        self._order = np.lexsort(paths.T[::-1])
        # By number of levels: the range of that order under each prefix.
        self._ranges: dict[int, dict[bytes, tuple[int, int]]] = {0: {b"": (0, len(paths))}}

    def _encode(self, x: Vectors) -> Codes:
        found: Codes = self.paths_[nearest_rows(self.standardizer_.apply(x), self.vectors_, self.threads)]
        return found

    def _decode(self, codes: Codes) -> Vectors:
        distinct, where = np.unique(codes, axis=0, return_inverse=True)
        means = np.empty((len(distinct), self.vectors_.shape[1]), np.float32)
        for row, prefix in enumerate(distinct):
            start, end = self._range(prefix)
            means[row] = self.vectors_[self._order[start:end]].mean(axis=0, dtype=np.float64)
        return self.standardizer_.invert(means[where.ravel()])

    def _range(self, prefix: npt.NDArray[np.uint16]) -> tuple[int, int]:
        for length in range(len(prefix), 0, -1):
            if length not in self._ranges:
                self._ranges[length] = _ranges(self.paths_[self._order, :length])
            found = self._ranges[length].get(prefix[:length].tobytes())
            if found is not None:
                return found
        return self._ranges[0][b""]

    def _alternatives(self, x: Vectors, count: int) -> Codes:
        """The own path of a vector and the following codes at the last level, cyclically."""
        own = self._encode(x)
        size = self.codebook_sizes[-1]
        choices = np.repeat(own[:, None], min(count, size), axis=1)
        choices[:, :, -1] = (own[:, -1:].astype(np.int64) + np.arange(choices.shape[1])) % size
        return choices

    def _state(self) -> State:
        learned: State = {"vectors": self.vectors_, "paths": self.paths_}
        return learned | self.standardizer_.state()

    def _restore(self, state: State, dim: int) -> None:
        paths = state.get("paths")
        rows = 0 if paths is None or not paths.ndim else len(paths)
        paths = take(state, "paths", (rows, len(self.codebook_sizes)), np.uint16)
        vectors = take(state, "vectors", (rows, dim))
        if not rows or (paths >= np.array(self.codebook_sizes)).any():
            raise KeyError(f"`paths` is invalid: expected at least one row below {self.codebook_sizes}.")
        self._index(Standardizer.restore(state, dim), vectors, paths)


def nearest_rows(
    x: Vectors, words: Vectors, threads: int | None, most: int = _MOST_WORDS
) -> npt.NDArray[np.intp]:
    """Find the row of the nearest of `words`, (n,), the first on a tie; compares `most` words at once."""
    best = np.zeros(len(x), np.intp)
    least = np.full(len(x), np.inf)
    for start in range(0, len(words), most):
        part = words[start : start + most]
        rows = assign_codes(x, [part], threads=threads)[:, 0]
        distances = np.square(x.astype(np.float64) - part[rows]).sum(axis=1)
        nearer = distances < least
        best[nearer], least[nearer] = start + rows[nearer], distances[nearer]
    return best


def _ranges(ordered: Codes) -> dict[bytes, tuple[int, int]]:
    """Range of rows of each distinct row of an ordered array."""
    changes = np.flatnonzero((ordered[1:] != ordered[:-1]).any(axis=1)) + 1
    starts = np.concatenate([[0], changes])
    ends = np.concatenate([changes, [len(ordered)]])
    return {
        ordered[start].tobytes(): (start, end)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    }
