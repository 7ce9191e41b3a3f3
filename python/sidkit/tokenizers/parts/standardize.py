"""Standardization: mean 0 and variance 1 in every dimension."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.tokenizers.parts.arrays import check_overflow
from sidkit.tokenizers.parts.files import take
from sidkit.tokenizers.parts.sums import block_sums, merged

__all__ = ["Standardizer", "plain", "squared_deviations"]


@dataclass(frozen=True)
class Standardizer:
    """Shift and scale of every dimension.

    Attributes:
        mean: float32 (dim,).
        scale: float32 (dim,), the standard deviation; 0 for a constant dimension, which `apply` maps to 0
            and `invert` to its constant.
    """

    mean: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, x: npt.NDArray[np.float32]) -> "Standardizer":
        """Measure the dimensions of vectors, float32 (n, dim)."""
        mean = merged(block_sums(x, plain)) / len(x)
        squares = merged(block_sums(x, partial(squared_deviations, mean=mean)))
        return cls.from_moments(mean, np.sqrt(squares / len(x)), np.abs(x).max(axis=0, initial=0))

    @classmethod
    def from_moments(
        cls,
        mean: npt.NDArray[np.float64],
        deviation: npt.NDArray[np.float64],
        largest: npt.NDArray[np.float32],
    ) -> "Standardizer":
        """Make a standardizer from measurements, each (dim,): mean, deviation and largest magnitude."""
        scale = np.where(varies(largest, deviation), deviation, 0.0)
        return cls(mean.astype(np.float32), scale.astype(np.float32))

    @classmethod
    def fit_if(cls, enabled: bool, x: npt.NDArray[np.float32]) -> "Standardizer":
        """Measure the dimensions of vectors, float32 (n, dim), or return the identity if not `enabled`."""
        return cls.fit(x) if enabled else cls.identity(x.shape[1])

    @classmethod
    def identity(cls, dim: int) -> "Standardizer":
        """Return the standardizer that changes nothing."""
        return cls(np.zeros(dim, np.float32), np.ones(dim, np.float32))

    @classmethod
    def restore(cls, state: Mapping[str, npt.NDArray[Any]], dim: int) -> "Standardizer":
        """Restore the standardizer that `state` returned, or raise FormatError."""
        return cls(take(state, "standardizer.mean", (dim,)), take(state, "standardizer.scale", (dim,)))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the standardizer as named arrays."""
        return {"standardizer.mean": self.mean, "standardizer.scale": self.scale}

    def apply(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Standardize vectors, float32 (n, dim). Elementwise: a row does not depend on the others.

        Raises:
            DataError: if a vector is so large that its standardized values overflow.
        """
        divisor: npt.NDArray[np.float32] = np.where(self.scale > 0, self.scale, np.float32(np.inf))
        with np.errstate(over="ignore", invalid="ignore"):
            z: npt.NDArray[np.float32] = (x - self.mean) / divisor
        check_overflow(z, "standardized values")
        return z

    def invert(self, z: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Undo `apply`."""
        return z * self.scale + self.mean


def plain(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return vectors unchanged: the terms of their mean."""
    return x


def squared_deviations(
    x: npt.NDArray[np.float32], *, mean: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the squared deviations of vectors, (n, dim), from their mean: the terms of the variance."""
    deviations = x - mean
    return np.multiply(deviations, deviations, out=deviations)


def varies(largest: npt.NDArray[np.float32], deviation: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Find the dimensions that are not constant up to rounding errors, by largest magnitude and deviation.

    A dimension that varies less than a millionth of its own magnitude, or of the largest deviation, is noise
    that must not be scaled up to variance 1.
    """
    size = np.maximum(largest, deviation.max(initial=0))
    informative: npt.NDArray[np.bool_] = deviation > 1e-6 * size
    return informative
