"""Base class of tokenizers whose codes follow a fixed rule."""

import os
from abc import abstractmethod

from sidkit._progress import Progress
from sidkit.tokenizers.base import Tokenizer
from sidkit.tokenizers.parts.additive import additive_codewords, sum_codewords
from sidkit.tokenizers.parts.arrays import Codes, State, Vectors
from sidkit.tokenizers.parts.files import by_level, take_levels
from sidkit.tokenizers.parts.standardize import Standardizer

__all__ = ["FixedRule"]


class FixedRule(Tokenizer):
    """A tokenizer with a fixed rule on standardized vectors; `fit` learns only the codewords of `decode`.

    Attributes:
        standardizer_: mean and scale of every dimension.
    """

    standardizer_: Standardizer
    _codewords: list[Vectors]

    def _prepare(self, dim: int) -> None:
        """Draw the random numbers of the rule; does nothing by default."""

    @abstractmethod
    def _rule(self, x: Vectors, z: Vectors) -> Codes:
        """Compute the codes of vectors `x`, float32 (n, dim), with the standardized vectors `z`."""

    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        self.standardizer_ = Standardizer.fit(x)
        self._prepare(x.shape[1])
        z = self.standardizer_.apply(x)
        self._codewords = additive_codewords(z, self._rule(x, z), self.codebook_sizes)
        if progress is not None:
            progress(1, 1)

    def _encode(self, x: Vectors) -> Codes:
        return self._rule(x, self.standardizer_.apply(x))

    def _decode(self, codes: Codes) -> Vectors:
        return self.standardizer_.invert(sum_codewords(self._codewords, codes))

    def _state(self) -> State:
        return by_level("codewords", self._codewords) | self.standardizer_.state()

    def _restore(self, state: State, dim: int) -> None:
        self.standardizer_ = Standardizer.restore(state, dim)
        self._codewords = take_levels(state, "codewords", self.codebook_sizes, dim)
