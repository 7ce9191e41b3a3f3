"""PQ: product quantization, one code for each part of the vector."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit._core import assign_codes
from sidkit._progress import Progress
from sidkit._settings import Count, Depth, Seed, Width
from sidkit.tokenizers.base import Tokenizer
from sidkit.tokenizers.parts.additive import cheapest_codes
from sidkit.tokenizers.parts.arrays import Codes, State, Vectors
from sidkit.tokenizers.parts.checks import check_counts, check_counts_or_none, check_flags, check_seed
from sidkit.tokenizers.parts.files import by_level, take, take_levels
from sidkit.tokenizers.parts.kmeans import Init, kmeans, level_seed
from sidkit.tokenizers.parts.perceptron import Perceptron
from sidkit.tokenizers.parts.standardize import Standardizer

__all__ = ["PQ"]


class PQ(Tokenizer):
    """Product quantization tokenizer: k-means codes of each part of a vector (Jégou et al., 2011).

    With a rotation that makes the parts independent and balances their variance, it is OPQ (Ge et al., 2013),
    the tokenizer of VQ-Rec, RPG and, in its first step, ActionPiece. The codes are unordered: no level builds
    on another, so a prefix means little. They suit models that read or predict all codes at once, not
    generation code by code.

    Args:
        levels: parts of the vector, so codes per item.
        codebook_size: codewords per level: one number, or one per level.
        rotation: learn a rotation first (OPQ).
        rounds: rounds of learning the rotation, each with one iteration of k-means.
        standardize: scale every dimension to mean 0 and variance 1 first.
        iterations: maximum number of iterations of the final k-means per level.
        seed: seed of the initializations.
        threads: maximum number of threads; None uses all cores. The codes do not depend on it.

    Attributes:
        standardizer_: mean and scale of every dimension.
        codewords_: float32 (codes, width), one array per level.
    """

    method = "pq"
    standardizer_: Standardizer
    codewords_: list[Vectors]
    _rotation: Perceptron

    def __init__(
        self,
        levels: Depth = 4,
        codebook_size: Width | Sequence[Width] = 256,
        *,
        rotation: bool = False,
        rounds: Count = 10,
        standardize: bool = True,
        iterations: Count = 25,
        seed: Seed = 0,
        threads: int | None = None,
    ) -> None:
        self._set_sizes(levels, codebook_size)
        self.rotation = rotation
        self.rounds = rounds
        self.standardize = standardize
        self.iterations = iterations
        self.seed = seed
        self.threads = threads
        check_counts(self, "rounds", "iterations")
        check_counts_or_none(self, "threads")
        check_flags(self, "rotation", "standardize")
        check_seed(seed)

    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        standardizer = Standardizer.fit_if(self.standardize, x)
        z = standardizer.apply(x)
        rotation = np.eye(z.shape[1], self._width(z.shape[1]) * self.levels)
        if self.rotation:
            rotation = self._learn_rotation(z, _spread(z, self.levels, rotation.shape[1]), progress)
        self.standardizer_ = standardizer
        self._rotation = _linear(rotation)
        words = []
        for level, part in enumerate(self._parts(self._rotation(z))):
            words.append(self._kmeans(part, level, iterations=self.iterations))
        self.codewords_ = words
        if progress is not None:
            progress(self.rounds + 1, self.rounds + 1)

    def _learn_rotation(
        self, z: Vectors, rotation: npt.NDArray[np.float64], progress: Progress | None
    ) -> npt.NDArray[np.float64]:
        """Alternate between quantization and the orthogonal Procrustes problem."""
        words: list[Vectors] = []
        for number in range(self.rounds):
            turned = (z @ rotation).astype(np.float32)
            near = np.empty_like(turned)
            for level, (part, out) in enumerate(
                zip(self._parts(turned), self._parts(near, copy=False), strict=True)
            ):
                found = self._kmeans(part, level, iterations=1, init=words[level] if number else "bisect")
                words[level : level + 1] = [found]
                out[:] = found[assign_codes(part, [found], threads=self.threads)[:, 0]]
            left, _, right = np.linalg.svd(z.T.astype(np.float64) @ near, full_matrices=False)
            rotation = left @ right
            if progress is not None:
                progress(number + 1, self.rounds + 1, mse=float(np.square(turned - near).mean()))
        return rotation

    def _kmeans(
        self, part: Vectors, level: int, *, iterations: Count, init: Init | Vectors = "bisect"
    ) -> Vectors:
        return kmeans(
            part,
            self.codebook_sizes[level],
            iterations=iterations,
            seed=level_seed(self.seed, level),
            init=init,
            threads=self.threads,
        )

    def _encode(self, x: Vectors) -> Codes:
        parts = self._parts(self._rotation(self.standardizer_.apply(x)))
        columns = [
            assign_codes(part, [words], threads=self.threads)
            for part, words in zip(parts, self.codewords_, strict=True)
        ]
        return np.concatenate(columns, axis=1)

    def _decode(self, codes: Codes) -> Vectors:
        near = np.zeros((len(codes), self.codewords_[0].shape[1] * self.levels), np.float32)
        for level, column in enumerate(codes.T):
            self._parts(near, copy=False)[level][:] = self.codewords_[level][column]
        weight = self._rotation.layers[0][0]  # (levels * width, dim)
        return self.standardizer_.invert(
            Perceptron([(weight.T, np.zeros(weight.shape[1], np.float32))])(near)
        )

    def _alternatives(self, x: Vectors, count: int) -> Codes:
        parts = self._parts(self._rotation(self.standardizer_.apply(x)))
        costs = []
        for part, words in zip(parts, self.codewords_, strict=True):
            wide, table = part.astype(np.float64), words.astype(np.float64)
            costs.append(
                np.square(wide).sum(axis=1)[:, None] - 2 * wide @ table.T + np.square(table).sum(axis=1)
            )
        return cheapest_codes(costs, count)

    def _state(self) -> State:
        words = by_level("codewords", self.codewords_)
        return words | {"rotation": self._rotation.layers[0][0]} | self.standardizer_.state()

    def _restore(self, state: State, dim: Count) -> None:
        width = self._width(dim)
        self.standardizer_ = Standardizer.restore(state, dim)
        self._rotation = _linear(take(state, "rotation", (width * self.levels, dim)).T)
        self.codewords_ = take_levels(state, "codewords", self.codebook_sizes, width)

    def _width(self, dim: Count) -> int:
        """Dimensions of a part; zeros are appended where the levels do not divide `dim`."""
        return -(-dim // self.levels)

    def _parts(self, turned: Vectors, *, copy: bool = True) -> list[Vectors]:
        parts = np.split(turned, self.levels, axis=1)
        return [np.ascontiguousarray(part) for part in parts] if copy else parts


def _linear(rotation: npt.NDArray[np.floating]) -> Perceptron:
    """`x @ rotation`, with the same result for a row in any batch."""
    return Perceptron(
        [(np.ascontiguousarray(rotation.T, dtype=np.float32), np.zeros(rotation.shape[1], np.float32))]
    )


def _spread(z: Vectors, levels: int, width: int) -> npt.NDArray[np.float64]:
    """Initial rotation, (dim, width): principal directions, allocated to balance the variance of the parts.

    In descending order of variance, each direction goes to the part with room whose directions have the
    smallest product of variances (Ge et al., 2013, section 3.2.3).
    """
    values, vectors = np.linalg.eigh(np.cov(z.T.astype(np.float64)).reshape(z.shape[1], z.shape[1]))
    room = width // levels
    parts: list[list[int]] = [[] for _ in range(levels)]
    products = np.zeros(levels)
    for direction in np.argsort(-values, kind="stable"):
        free = [level for level in range(levels) if len(parts[level]) < room]
        chosen = min(free, key=lambda level: (products[level], level))
        parts[chosen].append(int(direction))
        products[chosen] += np.log(max(values[direction], 1e-12)) - np.log(max(values.max(), 1e-12)) + 30
    rotation = np.zeros((z.shape[1], width))
    for level, directions in enumerate(parts):
        rotation[:, level * room : level * room + len(directions)] = vectors[:, directions]
    return rotation
