"""Multi-layer perceptrons with the same result for a row in any batch and on any CPU."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from sidkit._core import Perceptron as CorePerceptron
from sidkit.tokenizers.parts.arrays import State, Vectors, check_overflow
from sidkit.tokenizers.parts.files import take

__all__ = ["Perceptron"]


class Perceptron:
    """Linear layers with ReLU between them, evaluated without torch.

    Every output is summed in one order, so a vector has the same result, bit for bit, in any batch, on any
    number of threads, on any CPU.

    Args:
        layers: weight, float32 (out, in), and bias, float32 (out,), of each layer.

    Raises:
        ValueError: if there is no layer, widths do not fit, or a value is not finite.
    """

    def __init__(self, layers: Sequence[tuple[Vectors, Vectors]]) -> None:
        self.layers = [
            (np.ascontiguousarray(weight, np.float32), np.ascontiguousarray(bias, np.float32))
            for weight, bias in layers
        ]
        self._core = CorePerceptron(self.layers)

    def __call__(self, x: Vectors, threads: int | None = None) -> Vectors:
        """Apply the layers to vectors, float32 (n, in), giving float32 (n, out).

        Args:
            x: the vectors.
            threads: maximum number of threads; None uses all cores.

        Raises:
            ValueError: if the width is wrong or a value is not finite.
            DataError: if a vector is so large that its outputs overflow.
        """
        z: Vectors = self._core(x, threads=threads)
        check_overflow(z, "latent vectors")
        return z

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.layers,))

    def state(self, name: str) -> State:
        """Return the layers as named arrays."""
        named: State = {}
        for number, (weight, bias) in enumerate(self.layers):
            named[f"{name}.{number}.weight"] = weight
            named[f"{name}.{number}.bias"] = bias
        return named

    @classmethod
    def restore(cls, state: State, name: str, widths: Sequence[int]) -> "Perceptron":
        """Restore layers of these widths from what `state` returned.

        Raises:
            FormatError: if a layer is missing or has another shape.
        """
        return cls(
            [
                (
                    take(state, f"{name}.{number}.weight", (out, into), np.float32),
                    take(state, f"{name}.{number}.bias", (out,), np.float32),
                )
                for number, (into, out) in enumerate(pairwise(widths))
            ]
        )
