"""Codes that learn nothing or little: what a tokenizer must beat."""

import hashlib
import math
import os
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit._core import Codebooks, assign_codes
from sidkit.errors import ConfigError, DataError, NotFittedError
from sidkit.tokenizers.base import Codes, Progress, State, Tokenizer, Vectors
from sidkit.tokenizers.parts.additive import additive_codewords, cheapest_codes, sum_codewords
from sidkit.tokenizers.parts.checks import check_counts_or_none, check_seed
from sidkit.tokenizers.parts.files import by_level, take, take_levels
from sidkit.tokenizers.parts.standardize import Standardizer

__all__ = ["LSH", "Atomic", "RandomCodes"]

_MOST_ITEMS = 1 << 16


class _Control(Tokenizer):
    """Codes by a fixed rule on standardized vectors; `fit` learns only what `decode` needs."""

    standardizer_: Standardizer
    _codewords: list[Vectors]

    def _prepare(self, dim: int) -> None:
        """Draw what the rule needs; nothing, unless a kind says so."""

    @abstractmethod
    def _rule(self, x: Vectors, z: Vectors) -> Codes:
        """Codes of vectors `x`, standardized `z`."""

    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        self.standardizer_ = Standardizer.fit(x)
        self._prepare(x.shape[1])
        z = self.standardizer_.apply(x)
        self._codewords = additive_codewords(z, self._rule(x, z), self.codebook_sizes)
        if progress is not None:
            progress(1, 1, {})

    def _encode(self, x: Vectors) -> Codes:
        return self._rule(x, self.standardizer_.apply(x))

    def _decode(self, codes: Codes) -> Vectors:
        return self.standardizer_.invert(sum_codewords(self._codewords, codes))

    def _state(self) -> State:
        return by_level("codewords", self._codewords) | self.standardizer_.state()

    def _restore(self, state: State, dim: int) -> None:
        self.standardizer_ = Standardizer.restore(state, dim)
        self._codewords = take_levels(state, "codewords", self.codebook_sizes, dim)


class RandomCodes(_Control):
    """Codes that mean nothing: a hash of the vector. Equal vectors have equal codes, similar ones have not.

    Args:
        levels: codes per item.
        codebook_size: codewords per level; one number, or one a level.
        seed: of the hash.
    """

    method = "random"

    def __init__(self, levels: int = 3, codebook_size: int | Sequence[int] = 256, *, seed: int = 0) -> None:
        self._keep_shape(levels, codebook_size)
        self.seed = seed
        check_seed(seed)

    def _rule(self, x: Vectors, z: Vectors) -> Codes:
        rows = x + np.float32(0)  # so that -0.0 is 0.0
        prefix = f"{self.seed} ".encode()
        drawn = b"".join(hashlib.shake_128(prefix + row.tobytes()).digest(8 * self.levels) for row in rows)
        numbers = np.frombuffer(drawn, "<u8").reshape(len(rows), self.levels)
        return (numbers % np.array(self.codebook_sizes, np.uint64)).astype(np.uint16)

    def _alternatives(self, x: Vectors, count: int) -> Codes:
        """An item's own code and those that follow it, counting with the last level fastest."""
        own = self._encode(x).astype(np.int64)
        choices = min(count, math.prod(self.codebook_sizes))
        carry = np.tile(np.arange(choices), (len(x), 1))
        tokens = []
        for level in reversed(range(self.levels)):
            value = own[:, level, None] + carry
            tokens.append(value % self.codebook_sizes[level])
            carry = value // self.codebook_sizes[level]
        return np.stack(tokens[::-1], axis=2).astype(np.uint16)


class LSH(_Control):
    """Locality-sensitive hashing: which sides of random hyperplanes a vector is on (Charikar, 2002).

    TIGER's second control. A level of 256 codes is 8 hyperplanes through the mean of the standardized
    vectors.

    Args:
        levels: codes per item.
        codebook_size: codewords per level, powers of two; one number, or one a level.
        seed: of the hyperplanes.
    """

    method = "lsh"
    _planes: npt.NDArray[np.float64]  # (bits of all levels, dim)

    def __init__(self, levels: int = 3, codebook_size: int | Sequence[int] = 256, *, seed: int = 0) -> None:
        self._keep_shape(levels, codebook_size)
        self.seed = seed
        check_seed(seed)
        if any(size & (size - 1) for size in self._sizes):
            raise ConfigError(f"codes of LSH must be powers of two, not {self.codebook_size!r}")
        self._bits = [size.bit_length() - 1 for size in self._sizes]

    def _prepare(self, dim: int) -> None:
        self._planes = np.random.default_rng(self.seed).standard_normal((sum(self._bits), dim))

    def _state(self) -> State:
        return super()._state() | {"planes": self._planes}

    def _restore(self, state: State, dim: int) -> None:
        super()._restore(state, dim)
        self._planes = take(state, "planes", (sum(self._bits), dim), np.float64)

    def _rule(self, x: Vectors, z: Vectors) -> Codes:
        return self._pack(self._margins(z) > 0)

    def _alternatives(self, x: Vectors, count: int) -> Codes:
        """Codes in the order of how far the vector is from the hyperplanes that part it from them."""
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
        """Distances from the hyperplanes. Not a matrix product, whose sums would depend on the batch."""
        return np.stack([(z * plane).sum(axis=1) for plane in self._planes], axis=1)

    def _pack(self, sides: npt.NDArray[np.bool_]) -> Codes:
        columns, start = [], 0
        for bits in self._bits:
            powers = 1 << np.arange(bits)[::-1]
            columns.append((sides[:, start : start + bits] * powers).sum(axis=1))
            start += bits
        return np.stack(columns, axis=1).astype(np.uint16)


class Atomic(Tokenizer):
    """One code an item, as in models without Semantic IDs: no item shares anything with another.

    The codes are the distinct vectors of `fit` in their order; a vector that was not among them has the code
    of the nearest. At most 65,536 items.

    Args:
        threads: at most; all cores if None. The codes do not depend on it.
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
            raise DataError(f"atomic codes are for at most {_MOST_ITEMS} items, not {len(first)}")
        self._words = Codebooks([x[np.sort(first)]])
        if progress is not None:
            progress(1, 1, {})

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
            raise NotFittedError("this Atomic has no codes yet; hint: call fit(x) first")
        return self._words

    def _state(self) -> State:
        return {"words": self._codebooks()[0]}

    def _restore(self, state: State, dim: int) -> None:
        rows = state["words"].shape[0] if "words" in state and state["words"].ndim else 0
        self._words = Codebooks([take(state, "words", (rows, dim), np.float32)])
