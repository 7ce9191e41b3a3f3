"""Vectors that are finite, but too large to compute with in float32."""

import numpy as np
import numpy.typing as npt

from sidkit.errors import DataError

__all__ = ["check_learnable", "check_overflow"]

Vectors = npt.NDArray[np.float32]

#: The largest number to learn from: leaves room for sums of codewords below what float32 holds, 3.4e38.
_LARGEST = 1e36


def check_learnable(x: Vectors) -> None:
    """Raise DataError if sums of finite vectors, float32 (n, dim) with n > 0, may overflow."""
    most = np.maximum(x.max(axis=1), -x.min(axis=1))
    row = int(most.argmax())
    if most[row] > _LARGEST:
        raise DataError(
            f"row {row} of `x` is too large to learn from: it has {most[row]:.3g}, and sums of numbers "
            f"beyond {_LARGEST:g} may overflow float32; hint: scale the vectors"
        )


def check_overflow(z: Vectors, what: str) -> None:
    """Raise DataError if what was computed of finite vectors, row by row, is not finite.

    Args:
        z: float32 (n, any).
        what: these numbers are, in the plural.
    """
    rows = np.flatnonzero(~np.isfinite(z.sum(axis=1, dtype=np.float64)))
    if len(rows):
        raise DataError(
            f"row {rows[0]} of `x` is too large: its {what} overflow float32; hint: scale the vectors"
        )
