"""Base classes of residual tokenizers, whose vectors are sums of one codeword per level."""

from abc import abstractmethod

import numpy as np

from sidkit._core import Codebooks, assign_codes
from sidkit.errors import NotFittedError
from sidkit.tokenizers.base import Tokenizer
from sidkit.tokenizers.parts.arrays import Codes, State, Vectors
from sidkit.tokenizers.parts.files import by_level, take_levels
from sidkit.tokenizers.parts.standardize import Standardizer

__all__ = ["ResidualCodes", "ResidualTokenizer", "StandardizedResidual"]

#: Beam width of `alternatives` at every level but the last.
_BEAM = 8
#: Elements of the largest array that `alternatives` allocates.
_BLOCK_NUMBERS = 1 << 22


class ResidualCodes(Tokenizer):
    """A tokenizer that quantizes a vector at the first level and residuals at the others.

    Codes are those of `sidkit.assign_codes` on the latent vectors. A subclass implements `_latent` and
    `_decode`.

    Attributes:
        codebooks_: `sidkit.tokenizers.Codebooks`, learned by `fit`.
    """

    threads: int | None
    _codebooks: Codebooks | None = None

    @property
    def codebooks_(self) -> Codebooks:
        """The codebooks, in latent space.

        Raises:
            NotFittedError: before `fit`.
        """
        if self._codebooks is None:
            raise NotFittedError(f"this {type(self).__name__} is not fitted. Call fit(x) first.")
        return self._codebooks

    @abstractmethod
    def _latent(self, x: Vectors) -> Vectors:
        """Compute the vectors to quantize, float32 (n, latent); a row does not depend on the other rows."""

    def _encode(self, x: Vectors) -> Codes:
        return assign_codes(self._latent(x), self.codebooks_, threads=self.threads)

    def _sums(self, codes: Codes) -> Vectors:
        """Sum up the codewords of codes of the first one or more levels, giving float32 (n, latent)."""
        total = np.zeros((len(codes), self.codebooks_.dim), np.float32)
        for level in range(codes.shape[1]):
            total += self.codebooks_[level][codes[:, level]]
        return total

    def _alternatives(self, x: Vectors, count: int) -> Codes:
        latent = self._latent(x)
        widest = _BEAM * max(max(self.codebook_sizes), latent.shape[1])
        step = max(1, _BLOCK_NUMBERS // widest)
        blocks = [self._nearest(latent[start : start + step], count) for start in range(0, len(x), step)]
        return np.concatenate(blocks) if blocks else np.zeros((0, 1, len(self.codebook_sizes)), np.uint16)

    def _nearest(self, latent: Vectors, count: int) -> Codes:
        """Beam search for the sums of codewords with the smallest squared distance."""
        rows = np.arange(len(latent))[:, None]
        residuals = latent[:, None].astype(np.float64)  # (m, beam, latent)
        codes = np.zeros((len(latent), 1, 0), np.uint16)  # (m, beam, level)
        for level, size in enumerate(self.codebook_sizes):
            words = self.codebooks_[level].astype(np.float64)
            beam = residuals.shape[1]
            # The residual includes the cross terms with codewords of the levels before.
            distances = np.square(residuals).sum(axis=2)[:, :, None] - 2 * residuals @ words.T
            distances = (distances + np.square(words).sum(axis=1)).reshape(len(latent), beam * size)
            keep = min(beam * size, count if level == len(self.codebook_sizes) - 1 else _BEAM)
            best = np.argsort(distances, axis=1, kind="stable")[:, :keep]
            parents, tokens = best // size, best % size
            codes = np.concatenate([codes[rows, parents], tokens[:, :, None].astype(np.uint16)], axis=2)
            residuals = (
                residuals[rows, parents] - words[tokens]
                if level < len(self.codebook_sizes) - 1
                else residuals
            )
        return codes

    def _codebook_state(self) -> State:
        return by_level("codebooks", (self.codebooks_[level] for level in range(len(self.codebook_sizes))))

    def _restore_codebooks(self, state: State, dim: int) -> None:
        self._codebooks = Codebooks(take_levels(state, "codebooks", self.codebook_sizes, dim))


class ResidualTokenizer(ResidualCodes):
    """A residual tokenizer that decodes through the latent space: a subclass implements `_from_latent`."""

    @abstractmethod
    def _from_latent(self, z: Vectors) -> Vectors:
        """Map sums of codewords to vectors in the space of `fit`."""

    def _decode(self, codes: Codes) -> Vectors:
        return self._from_latent(self._sums(codes))


class StandardizedResidual(ResidualTokenizer):
    """A residual tokenizer whose latent vectors are the standardized vectors.

    Attributes:
        codebooks_: `sidkit.tokenizers.Codebooks` in standardized space.
        standardizer_: mean and scale of every dimension.
    """

    standardizer_: Standardizer

    def _latent(self, x: Vectors) -> Vectors:
        return self.standardizer_.apply(x)

    def _from_latent(self, z: Vectors) -> Vectors:
        return self.standardizer_.invert(z)

    def _state(self) -> State:
        return self._codebook_state() | self.standardizer_.state()

    def _restore(self, state: State, dim: int) -> None:
        self.standardizer_ = Standardizer.restore(state, dim)
        self._restore_codebooks(state, dim)
