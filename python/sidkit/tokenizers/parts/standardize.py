"""Vectors with mean 0 and variance 1 in every dimension."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.tokenizers.parts.files import take
from sidkit.tokenizers.parts.magnitude import check_overflow

__all__ = ["Standardizer"]


@dataclass(frozen=True)
class Standardizer:
    """Shift and scale of every dimension.

    Attributes:
        mean: float32 (dim,).
        scale: float32 (dim,), the standard deviation; 0 where a dimension is constant: it becomes 0,
            whatever a new vector has there, and comes back as its constant.
    """

    mean: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, x: npt.NDArray[np.float32]) -> "Standardizer":
        """Measure the dimensions of vectors, float32 (n, dim)."""
        mean = x.mean(axis=0, dtype=np.float64)
        deviation = x.std(axis=0, dtype=np.float64)
        scale = np.where(varies(x, deviation), deviation, 0.0)
        return cls(mean.astype(np.float32), scale.astype(np.float32))

    @classmethod
    def fit_if(cls, wanted: bool, x: npt.NDArray[np.float32]) -> "Standardizer":
        """Measure the dimensions of vectors, float32 (n, dim), or change nothing if that is not wanted."""
        return cls.fit(x) if wanted else cls.identity(x.shape[1])

    @classmethod
    def identity(cls, dim: int) -> "Standardizer":
        """The standardizer that changes nothing."""
        return cls(np.zeros(dim, np.float32), np.ones(dim, np.float32))

    @classmethod
    def restore(cls, state: Mapping[str, npt.NDArray[Any]], dim: int) -> "Standardizer":
        """The standardizer that `state` came from, or FormatError if it is not there."""
        return cls(take(state, "standardizer.mean", (dim,)), take(state, "standardizer.scale", (dim,)))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The standardizer as named arrays."""
        return {"standardizer.mean": self.mean, "standardizer.scale": self.scale}

    def apply(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Standardize vectors, float32 (n, dim). Elementwise: a row does not depend on the others.

        Raises:
            DataError: if a vector is so large, beside those that were measured, that it overflows.
        """
        divisor: npt.NDArray[np.float32] = np.where(self.scale > 0, self.scale, np.float32(np.inf))
        with np.errstate(over="ignore", invalid="ignore"):
            z: npt.NDArray[np.float32] = (x - self.mean) / divisor
        check_overflow(z, "standardized numbers")
        return z

    def invert(self, z: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Undo `apply`."""
        return z * self.scale + self.mean


def varies(x: npt.NDArray[np.float32], deviation: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which dimensions of vectors, float32 (n, dim), are more than a constant and its rounding errors.

    A dimension that varies less than a millionth of its own size, or of what the most variable dimension
    varies, is noise that must not be blown up to variance 1.
    """
    size = np.maximum(np.abs(x).max(axis=0, initial=0), deviation.max(initial=0))
    informative: npt.NDArray[np.bool_] = deviation > 1e-6 * size
    return informative
