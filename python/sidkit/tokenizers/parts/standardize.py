"""Standardization: mean 0 and variance 1 in every dimension."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.tokenizers.parts.arrays import check_overflow
from sidkit.tokenizers.parts.files import take

__all__ = ["Standardizer"]


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
        mean = x.mean(axis=0, dtype=np.float64)
        deviation = x.std(axis=0, dtype=np.float64)
        scale = np.where(varies(x, deviation), deviation, 0.0)
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


def varies(x: npt.NDArray[np.float32], deviation: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Find the dimensions of vectors, float32 (n, dim), that are not constant up to rounding errors.

    A dimension that varies less than a millionth of its own magnitude, or of the largest deviation, is noise
    that must not be scaled up to variance 1.
    """
    size = np.maximum(np.abs(x).max(axis=0, initial=0), deviation.max(initial=0))
    informative: npt.NDArray[np.bool_] = deviation > 1e-6 * size
    return informative
