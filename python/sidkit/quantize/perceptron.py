"""Multi-layer perceptrons that give a row the same result in any batch."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from sidkit.quantize.files import take
from sidkit.quantize.tokenizer import State, Vectors

__all__ = ["Perceptron"]

#: Rows of every matrix product. The kernels that BLAS picks, and so the order of its sums, depend on the
#: shape.
_BLOCK = 256


class Perceptron:
    """Linear layers with ReLU between them, evaluated without torch.

    Evaluated in float64, in blocks of a fixed number of rows, rounded to float32 at the end. The order of
    the sums in a matrix product is BLAS's own affair; what it changes is some 1e-16 of a value, which the
    rounding hides but in about one of 1e8 numbers, and there it is the last bit. So a vector has the same
    result in any batch, and on other CPUs too, but for a last bit now and then.

    Args:
        layers: weight, float32 (out, in), and bias, float32 (out,), of each layer.
    """

    def __init__(self, layers: Sequence[tuple[Vectors, Vectors]]) -> None:
        self.layers = [(weight, bias) for weight, bias in layers]
        self._wide = [(weight.T.astype(np.float64), bias.astype(np.float64)) for weight, bias in layers]

    def __call__(self, x: Vectors) -> Vectors:
        """Apply the layers to vectors, float32 (n, in), giving float32 (n, out)."""
        result = np.empty((len(x), self._wide[-1][1].size), np.float32)
        for start in range(0, len(x), _BLOCK):
            rows = x[start : start + _BLOCK]
            block = np.zeros((_BLOCK, x.shape[1]))
            block[: len(rows)] = rows
            result[start : start + _BLOCK] = self._evaluate(block)[: len(rows)]
        return result

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

    def _evaluate(self, block: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        for number, (weight, bias) in enumerate(self._wide):
            if number:
                block = np.maximum(block, 0)
            block = block @ weight + bias
        return block
