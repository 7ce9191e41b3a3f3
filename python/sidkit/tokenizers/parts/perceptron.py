"""Multi-layer perceptrons that give a row the same result in any batch and on any CPU."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from sidkit import _core
from sidkit.tokenizers.base import State, Vectors
from sidkit.tokenizers.parts.files import take
from sidkit.tokenizers.parts.magnitude import check_overflow

__all__ = ["Perceptron"]


class Perceptron:
    """Linear layers with ReLU between them, evaluated without torch.

    The core sums every output in one order, so that a vector has the same result, bit for bit, in any batch,
    on any number of threads, on any CPU.

    Args:
        layers: weight, float32 (out, in), and bias, float32 (out,), of each layer.

    Raises:
        ValueError: no layer, layers whose widths do not fit, NaN or infinity.
    """

    def __init__(self, layers: Sequence[tuple[Vectors, Vectors]]) -> None:
        self.layers = [
            (np.ascontiguousarray(weight, np.float32), np.ascontiguousarray(bias, np.float32))
            for weight, bias in layers
        ]
        self._core = _core.Perceptron(self.layers)

    def __call__(self, x: Vectors, threads: int | None = None) -> Vectors:
        """Apply the layers to vectors, float32 (n, in), giving float32 (n, out), on `threads` threads or all.

        Raises:
            ValueError: another width, NaN or infinity.
            DataError: if a vector is so large that what comes of it overflows.
        """
        z: Vectors = self._core(x, threads=threads)
        check_overflow(z, "latents")
        return z

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.layers,))

    def state(self, name: str) -> State:
        """The layers as named arrays."""
        named: State = {}
        for number, (weight, bias) in enumerate(self.layers):
            named[f"{name}.{number}.weight"] = weight
            named[f"{name}.{number}.bias"] = bias
        return named

    @classmethod
    def restore(cls, state: State, name: str, widths: Sequence[int]) -> "Perceptron":
        """Layers between these widths, as `state` named them.

        Raises:
            FormatError: if one is missing or has another shape.
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
