"""History encoders in the ONNX format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sidkit._extras import require
from sidkit._files import atomic_path
from sidkit.errors import ConfigError
from sidkit.models import GRU4RecNetwork, RQTransformerNetwork

require("onnx", extra="onnx")

import onnx  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

__all__ = ["export_encoder"]

_OPSET, _IR = 17, 8
Float32 = npt.NDArray[np.float32]


def export_encoder(model: Any, path: str | os.PathLike[str]) -> None:
    """Write the encoder of histories of a fitted recommender as an ONNX file.

    The file has two inputs. `history`, int64 (B, T), holds rows of items as in `model.item_ids_`, oldest
    first, padded on the right with the number of items. `lengths`, int32 (B,), is the number of items of each
    history, at least 1: an empty history is one padding. The caller cuts histories to the latest `max_items`,
    which the metadata name.

    The output `hidden`, float32 (B, D), is the vector after the last item. Its inner products with the item
    vectors of GRU4Rec are the scores of the items.

    Args:
        model: fitted `RQTransformer` with GRUs, its default, or `GRU4Rec`.
        path: the file.

    Raises:
        ConfigError: if the model has another encoder.
        OSError: if the file cannot be written.
    """
    network = getattr(model, "network_", None)
    if isinstance(network, RQTransformerNetwork) and network.backbone == "gru":
        vectors, layers = _padded(network), network.recurrent
    elif isinstance(network, GRU4RecNetwork):
        vectors, layers = _array(network.item.weight), network.layers
    else:
        raise ConfigError(
            f"`{getattr(model, 'method', type(model).__name__)}` has no encoder that can be exported: "
            "expected a fitted "
            "RQTransformer with backbone `gru`, or GRU4Rec. Fit one of them."
        )
    nodes = [
        helper.make_node("Gather", ["item_vectors", "history"], ["embedded"], axis=0),  # (B, T, D)
        helper.make_node("Transpose", ["embedded"], ["x0"], perm=[1, 0, 2]),  # (T, B, D)
    ]
    arrays = {
        "item_vectors": vectors,
        "directions": np.array([1], np.int64),
        "first": np.array([0], np.int64),
    }
    for level, layer in enumerate(layers):
        arrays |= _gru_arrays(layer, level)
        given = [f"x{level}", f"w{level}", f"r{level}", f"b{level}", "lengths"]
        outputs = [f"y{level}", f"last{level}"]  # (T, 1, B, D) and (1, B, D)
        nodes.append(
            helper.make_node("GRU", given, outputs, hidden_size=layer.hidden_size, linear_before_reset=1)
        )
        nodes.append(helper.make_node("Squeeze", [f"y{level}", "directions"], [f"x{level + 1}"]))  # (T, B, D)
    last = f"last{len(layers) - 1}"
    arrays |= {"norm_weight": _array(network.norm.weight), "norm_bias": _array(network.norm.bias)}
    nodes += [
        helper.make_node("Squeeze", [last, "first"], ["state"]),  # (B, D)
        helper.make_node(
            "LayerNormalization",
            ["state", "norm_weight", "norm_bias"],
            ["hidden"],
            axis=-1,
            epsilon=network.norm.eps,
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "history_encoder",
        [
            helper.make_tensor_value_info("history", TensorProto.INT64, ["histories", "items"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["histories"]),
        ],
        [helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["histories", vectors.shape[1]])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()],
    )
    made = helper.make_model(
        graph, producer_name="sidkit", opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR
    )
    facts = {"method": model.method, "items": len(vectors) - 1, "max_items": network.max_items}
    helper.set_model_props(made, {name: str(value) for name, value in facts.items()})
    onnx.checker.check_model(made)
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(made.SerializeToString())


def _padded(network: RQTransformerNetwork) -> Float32:
    """Return the vectors of all items and a row of zeros for padding, float32 (N + 1, D)."""
    with torch.inference_mode():
        vectors = network.item_vectors().float().cpu().numpy()
    return np.concatenate([vectors, np.zeros((1, vectors.shape[1]), np.float32)])


def _gru_arrays(layer: Any, level: int) -> dict[str, Float32]:
    """Return the weights of a GRU; ONNX orders the gates as update, reset, new."""
    weights = [layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0]
    ordered = []
    for weight in weights:
        reset, update, new = np.split(_array(weight), 3)
        ordered.append(np.concatenate([update, reset, new]))
    inputs, recurrent, *biases = ordered
    names = (f"w{level}", f"r{level}", f"b{level}")
    return dict(zip(names, (inputs[None], recurrent[None], np.concatenate(biases)[None]), strict=True))


def _array(weight: Any) -> Float32:
    array: Float32 = weight.detach().float().cpu().numpy()
    return array
