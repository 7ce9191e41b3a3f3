"""Whitening: principal components with variance 1."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.errors import ConfigError
from sidkit.tokenizers.parts.arrays import Vectors
from sidkit.tokenizers.parts.files import take
from sidkit.tokenizers.parts.perceptron import Perceptron

__all__ = ["Whitener"]


class Whitener:
    """Transform to the first principal components, each divided by its standard deviation.

    Args:
        forward: float32 (components, dim).
        back: float32 (dim, components), its pseudo-inverse.
    """

    def __init__(self, forward: Vectors, back: Vectors) -> None:
        self._forward = Perceptron([(forward, np.zeros(len(forward), np.float32))])
        self._back = Perceptron([(back, np.zeros(len(back), np.float32))])

    @classmethod
    def fit(cls, x: Vectors, components: int) -> "Whitener":
        """Find the components of centred vectors, float32 (n, dim).

        Components without variance become 0.

        Raises:
            ConfigError: if there are more components than dimensions.
        """
        if components > x.shape[1]:
            raise ConfigError(
                f"`whiten` is invalid: expected at most the {x.shape[1]} dimensions of the vectors, got "
                f"{components}."
            )
        wide = x.astype(np.float64)
        values, directions = np.linalg.eigh(wide.T @ wide / max(1, len(x)))
        values, directions = values[::-1][:components], directions[:, ::-1][:, :components]
        # The sign of an eigenvector is arbitrary; the largest entry is positive.
        directions = directions * np.sign(
            directions[np.abs(directions).argmax(axis=0), np.arange(components)]
        )
        scale = np.sqrt(np.where(values > 1e-6 * values[0], values, 0))
        inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
        return cls(
            np.ascontiguousarray((directions * inverse).T, np.float32),
            np.ascontiguousarray(directions * scale, np.float32),
        )

    @classmethod
    def restore(cls, state: Mapping[str, npt.NDArray[Any]], dim: int, components: int) -> "Whitener":
        """Restore the whitener that `state` returned, or raise FormatError."""
        return cls(
            take(state, "whitener.forward", (components, dim)),
            take(state, "whitener.back", (dim, components)),
        )

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the whitener as named arrays."""
        return {
            "whitener.forward": self._forward.layers[0][0],
            "whitener.back": self._back.layers[0][0],
        }

    def apply(self, x: Vectors) -> Vectors:
        """Whiten vectors, float32 (n, dim) -> (n, components)."""
        return self._forward(x)

    def invert(self, z: Vectors) -> Vectors:
        """Undo `apply`, up to the variance outside the components."""
        return self._back(z)
