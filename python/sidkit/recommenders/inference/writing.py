"""Inference files of fitted recommenders."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sidkit._core import write_inference
from sidkit.data.id_columns import fits_int64
from sidkit.errors import ConfigError
from sidkit.models import GRU4RecNetwork, RQTransformerNetwork, SASRecNetwork
from sidkit.recommenders.inference.encoders import (
    Arrays,
    attention_arrays,
    gru_arrays,
    norm_arrays,
    to_numpy,
)
from sidkit.recommenders.inference.trees import (
    bias_arrays,
    growth_arrays,
    tree_arrays,
    vector_arrays,
)

__all__ = ["INFERENCE", "save_inference_file", "write_inference_file"]

#: Name of the file in the directory of a saved recommender.
INFERENCE = "inference.safetensors"


def save_inference_file(recommender: Any, directory: Path) -> None:
    """Write the inference file of a recommender that is saved to a directory, if it has a small one.

    Recommenders without inference files have none. Catalogues whose softmaxes are sampled are left to
    `Session.export`, since their files are large.
    """
    network = recommender.network_
    small = isinstance(network, RQTransformerNetwork) and network.exact
    ids = recommender.item_ids_.dtype
    if (small or isinstance(network, SASRecNetwork | GRU4RecNetwork)) and not _exceeds_int64(ids):
        write_inference_file(recommender, directory / INFERENCE)


def write_inference_file(recommender: Any, path: Path) -> None:
    """Write the inference file of a fitted recommender, whole or not at all.

    Args:
        recommender: RQTransformer, SASRec or GRU4Rec.
        path: the file.

    Raises:
        ConfigError: if it is another recommender, or an item id does not fit int64.
    """
    network = getattr(recommender, "network_", None)
    config: dict[str, Any]
    if isinstance(network, RQTransformerNetwork):
        network.new_item_bias = recommender.new_item_bias
        config, arrays = _tree_model(network)
    elif isinstance(network, SASRecNetwork | GRU4RecNetwork):
        config, arrays = _item_model(network)
    else:
        raise ConfigError(
            f"`{recommender.method}` has no inference file: expected a fitted RQTransformer, SASRec or "
            "GRU4Rec. Use the recommender itself."
        )
    config |= {"method": recommender.method, "max_items": network.max_items}
    arrays |= norm_arrays("norm", network.norm)
    arrays |= _items(recommender.item_ids_, recommender.item_counts_)
    removed = np.flatnonzero(recommender.removed_)
    if len(removed):
        arrays["item.removed"] = removed.astype(np.uint32)
    prior = getattr(recommender, "prior_", None)
    if prior is not None:
        graph = prior.graph
        config["graph"] = {"weight": prior.weight, "recency": graph.recency, "max_items": graph.max_items}
        arrays["graph.values"] = graph.matrix_data_.astype(np.float32)
        arrays["graph.columns"] = graph.matrix_columns_.astype(np.uint32)
        arrays["graph.offsets"] = graph.matrix_offsets_.astype(np.uint64)
    write_inference(path, json.dumps(config), arrays)


def _tree_model(network: RQTransformerNetwork) -> tuple[dict[str, Any], Arrays]:
    """Return the configuration and the arrays of a network over the tree of Semantic IDs."""
    settings = network.settings
    config = {
        "normalizes": "leaves" if network.exact else "levels",
        "d_model": settings["d_model"],
        "encoder": network.backbone,
        "layers": settings["layers"],
        "heads": settings["heads"],
        "sizes": list(network.sizes),
        "new_item_bias": network.new_item_bias,
    }
    if network.backbone == "gru":
        arrays = gru_arrays(network.recurrent)
    else:
        config["scale"] = network.scale
        arrays = attention_arrays(network.position, network.blocks)
    arrays |= tree_arrays(network.tree) | vector_arrays(network)
    arrays |= bias_arrays(network) | growth_arrays(network)
    return config, arrays


def _item_model(network: SASRecNetwork | GRU4RecNetwork) -> tuple[dict[str, Any], Arrays]:
    """Return the configuration and the arrays of a network with one vector per item."""
    settings, items = network.settings, network.items
    config: dict[str, Any] = {
        "normalizes": "nothing",
        "d_model": settings["d_model"],
        "layers": settings["layers"],
    }
    if isinstance(network, SASRecNetwork):
        config |= {"encoder": "attention", "heads": settings["heads"], "scale": network.scale}
        arrays = attention_arrays(network.position, network.blocks)
    else:
        config |= {"encoder": "gru"}
        arrays = gru_arrays(network.layers)
    rows = np.arange(items, dtype=np.uint32)
    arrays |= {"vectors": to_numpy(network.item.weight[:items]), "slot.item": rows, "item.row": rows}
    return config, arrays


def _items(ids: pl.Series, counts: Any) -> Arrays:
    """Return the training events of the items, their ids and the order of these."""
    arrays: Arrays = {"item.count": counts.astype(np.int64)}
    arrays["item.order"] = ids.arg_sort().to_numpy().astype(np.uint32)
    if _exceeds_int64(ids.dtype):
        raise ConfigError(
            f"item ids have the wrong type for an inference file: expected int64, got {ids.dtype}. "
            "Convert them to int64 or to strings."
        )
    if ids.dtype.is_integer():
        arrays["item.id"] = ids.to_numpy().astype(np.int64)
        return arrays
    encoded = [text.encode() for text in ids.to_list()]
    arrays["item.text"] = np.frombuffer(b"".join(encoded), np.uint8)
    arrays["item.text_offsets"] = np.cumsum([0, *map(len, encoded)], dtype=np.uint64)
    return arrays


def _exceeds_int64(dtype: pl.DataType) -> bool:
    return dtype.is_integer() and not fits_int64(dtype)
