"""LSH: locality-sensitive hashing with random hyperplanes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit._settings import Count, Depth, Seed, Width
from sidkit.errors import ConfigError
from sidkit.tokenizers.parts.additive import cheapest_codes
from sidkit.tokenizers.parts.arrays import Codes, State, Vectors
from sidkit.tokenizers.parts.checks import check_seed
from sidkit.tokenizers.parts.files import take
from sidkit.tokenizers.parts.fixed_rule import FixedRule

__all__ = ["LSH"]


class LSH(FixedRule):
    """Control tokenizer by locality-sensitive hashing: signs of random projections (Charikar, 2002).

    The second control of TIGER. A level of 256 codes consists of 8 hyperplanes through the mean of the
    standardized vectors.

    Args:
        levels: codes per item.
        codebook_size: codewords per level, powers of two: one number, or one per level.
        seed: seed of the hyperplanes.
    """

    method = "lsh"
    _planes: npt.NDArray[np.float64]  # (bits of all levels, dim)

    def __init__(
        self, levels: Depth = 3, codebook_size: Width | Sequence[Width] = 256, *, seed: Seed = 0
    ) -> None:
        self._set_sizes(levels, codebook_size)
        self.seed = seed
        check_seed(seed)
        if any(size & (size - 1) for size in self._sizes):
            raise ConfigError(
                f"`codebook_size` of LSH is invalid: expected powers of two, got {self.codebook_size!r}."
            )
        self._bits = [size.bit_length() - 1 for size in self._sizes]

    def _prepare(self, dim: Count) -> None:
        self._planes = np.random.default_rng(self.seed).standard_normal((sum(self._bits), dim))

    def _state(self) -> State:
        return super()._state() | {"planes": self._planes}

    def _restore(self, state: State, dim: Count) -> None:
        super()._restore(state, dim)
        self._planes = take(state, "planes", (sum(self._bits), dim), np.float64)

    def _rule(self, x: Vectors, z: Vectors) -> Codes:
        return self._pack(self._margins(z) > 0)

    def _alternatives(self, x: Vectors, count: int) -> Codes:
        """Codes in the order of the distances from the hyperplanes that separate the vector from them."""
        margins = self._margins(self.standardizer_.apply(x))
        costs, start = [], 0
        for bits, size in zip(self._bits, self.codebook_sizes, strict=True):
            sides = (np.arange(size)[:, None] >> np.arange(bits)[::-1]) & 1  # (size, bits)
            part = margins[:, start : start + bits]
            crossed = sides[None] != (part > 0)[:, None]  # (m, size, bits)
            costs.append((crossed * np.abs(part)[:, None]).sum(axis=2))
            start += bits
        return cheapest_codes(costs, count)

    def _margins(self, z: Vectors) -> npt.NDArray[np.float64]:
        """Distances from the hyperplanes, without a matrix product, whose sums depend on the batch."""
        return np.stack([(z * plane).sum(axis=1) for plane in self._planes], axis=1)

    def _pack(self, sides: npt.NDArray[np.bool_]) -> Codes:
        columns, start = [], 0
        for bits in self._bits:
            powers = 1 << np.arange(bits)[::-1]
            columns.append((sides[:, start : start + bits] * powers).sum(axis=1))
            start += bits
        return np.stack(columns, axis=1).astype(np.uint16)
