"""Atomic codes: one code per item, the control without Semantic IDs."""

import os

import numpy as np

from sidkit._arguments import Count
from sidkit._core import Codebooks, assign_codes
from sidkit._progress import Progress
from sidkit.errors import DataError, NotFittedError
from sidkit.tokenizers.base import Tokenizer
from sidkit.tokenizers.parts.arrays import Codes, State, Vectors
from sidkit.tokenizers.parts.checks import check_counts_or_none
from sidkit.tokenizers.parts.files import take

__all__ = ["Atomic"]

_MOST_ITEMS = 1 << 16


class Atomic(Tokenizer):
    """Control tokenizer with one code per item, as in models without Semantic IDs.

    The codes number the distinct vectors of `fit` in their order. A new vector has the code of the nearest
    one. At most 65,536 items are supported.

    Args:
        threads: maximum number of threads; None uses all cores. The codes do not depend on it.
    """

    method = "atomic"
    levels = 1
    _words: Codebooks | None = None

    def __init__(self, *, threads: int | None = None) -> None:
        self.threads = threads
        check_counts_or_none(self, "threads")

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """The number of items, after `fit`."""
        return (1,) if self._words is None else self._words.sizes

    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        _, first = np.unique(x, axis=0, return_index=True)
        if len(first) > _MOST_ITEMS:
            raise DataError(
                f"there are too many items for atomic codes: expected at most {_MOST_ITEMS}, got "
                f"{len(first)}. Use another tokenizer, such as RQKMeans."
            )
        self._words = Codebooks([x[np.sort(first)]])
        if progress is not None:
            progress(1, 1)

    def _encode(self, x: Vectors) -> Codes:
        return assign_codes(x, self._codebooks(), threads=self.threads)

    def _decode(self, codes: Codes) -> Vectors:
        return self._codebooks()[0][codes[:, 0]]

    def _alternatives(self, x: Vectors, count: int) -> Codes:
        words = self._codebooks()[0].astype(np.float64)
        costs = np.square(words).sum(axis=1) - 2 * x.astype(np.float64) @ words.T
        return np.argsort(costs, axis=1, kind="stable")[:, :count, None].astype(np.uint16)

    def _codebooks(self) -> Codebooks:
        if self._words is None:
            raise NotFittedError("this Atomic is not fitted. Call fit(x) first.")
        return self._words

    def _state(self) -> State:
        return {"words": self._codebooks()[0]}

    def _restore(self, state: State, dim: Count) -> None:
        rows = state["words"].shape[0] if "words" in state and state["words"].ndim else 0
        self._words = Codebooks([take(state, "words", (rows, dim), np.float32)])
