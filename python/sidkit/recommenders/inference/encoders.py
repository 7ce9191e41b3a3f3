"""Weights of history encoders under the names of inference files."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

__all__ = ["Arrays", "attention_arrays", "gru_arrays", "norm_arrays", "to_numpy"]

Arrays = dict[str, npt.NDArray[Any]]

_GRU = {
    "input": "weight_ih_l0",
    "state": "weight_hh_l0",
    "input_bias": "bias_ih_l0",
    "state_bias": "bias_hh_l0",
}


def to_numpy(weight: Tensor) -> npt.NDArray[np.float32]:
    """Return weights as a contiguous float32 array."""
    array: npt.NDArray[np.float32] = np.ascontiguousarray(weight.detach().float().cpu().numpy())
    return array


def norm_arrays(name: str, norm: nn.LayerNorm) -> Arrays:
    """Return the scale and the shift of a layer norm."""
    return {f"{name}.weight": to_numpy(norm.weight), f"{name}.bias": to_numpy(norm.bias)}


def gru_arrays(layers: Iterable[Any]) -> Arrays:
    """Return the weights of stacked GRUs."""
    return {
        f"gru.{number}.{name}": to_numpy(getattr(layer, source))
        for number, layer in enumerate(layers)
        for name, source in _GRU.items()
    }


def attention_arrays(position: nn.Embedding, blocks: Iterable[Any]) -> Arrays:
    """Return the position vectors and the weights of transformer blocks."""
    arrays = {"position": to_numpy(position.weight)}
    for number, block in enumerate(blocks):
        feed_norm, expand, _, _, contract, _ = block.feed_forward
        name = f"block.{number}"
        arrays |= norm_arrays(f"{name}.attention_norm", block.attention_norm)
        arrays |= norm_arrays(f"{name}.feed_norm", feed_norm)
        for part, linear in (
            ("qkv", block.qkv),
            ("out", block.out),
            ("expand", expand),
            ("contract", contract),
        ):
            arrays[f"{name}.{part}.weight"] = to_numpy(linear.weight)
            arrays[f"{name}.{part}.bias"] = to_numpy(linear.bias)
    return arrays
