"""What tokenizers share whose codes are given to items, not computed from vectors."""

import numpy as np
import numpy.typing as npt

from sidkit._core import assign_codes
from sidkit.tokenizers.base import Codes, State, Tokenizer, Vectors
from sidkit.tokenizers.parts.files import take
from sidkit.tokenizers.parts.standardize import Standardizer

__all__ = ["LookupTokenizer"]

#: Vectors that `assign_codes` compares at once, at most: codes are 16 bits.
_MOST_WORDS = 1 << 16


class LookupTokenizer(Tokenizer):
    """A tokenizer that gives every item of `fit` a path, found again by the item's vector.

    A vector that was not among those of `fit` has the path of the nearest one, in standardized space, and of
    equal vectors all have the path of the first. So a new item shares the Semantic ID of the known item that
    is most like it, until the collision policy tells them apart.

    A prefix stands for the mean of the items under it, and one that no item has for the mean of those under
    its longest part that some have.

    Attributes:
        standardizer_: mean and scale of every dimension.
        vectors_: float32 (items, dim), the vectors with a path, standardized.
        paths_: uint16 (items, levels), their paths.
    """

    threads: int | None
    standardizer_: Standardizer
    vectors_: Vectors
    paths_: Codes

    def _learn(self, x: Vectors, known: npt.NDArray[np.intp], paths: Codes) -> None:
        """Take over the paths, uint16 (known, levels), of some of the vectors of `fit`."""
        standardizer = Standardizer.fit(x)
        self._take_over(standardizer, standardizer.apply(x[known]), paths)

    def _take_over(self, standardizer: Standardizer, vectors: Vectors, paths: Codes) -> None:
        self.standardizer_, self.vectors_, self.paths_ = standardizer, vectors, paths
        self._order = np.lexsort(paths.T[::-1])
        # Of each number of levels, which places in that order a prefix takes.
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
        """A vector's own path and those that follow it at the last level, beginning anew after the last."""
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
            raise KeyError(f"`paths` must be some, below {self.codebook_sizes}")
        self._take_over(Standardizer.restore(state, dim), vectors, paths)


def nearest_rows(
    x: Vectors, words: Vectors, threads: int | None, most: int = _MOST_WORDS
) -> npt.NDArray[np.intp]:
    """The row of the nearest of `words`, (n,), the first of equally near ones; `most` words at once."""
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
    """Which rows each distinct row of an ordered array takes."""
    changes = np.flatnonzero((ordered[1:] != ordered[:-1]).any(axis=1)) + 1
    starts = np.concatenate([[0], changes])
    ends = np.concatenate([changes, [len(ordered)]])
    return {
        ordered[start].tobytes(): (start, end)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    }
