"""Networks on disk: weights in safetensors, with the constructor's arguments in the metadata."""

import json
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import nn

from sidkit._files import UNSEALED, atomic_path, check_seal, seal
from sidkit._settings import settings_model
from sidkit._settings_errors import problems_of
from sidkit.errors import FormatError

__all__ = ["load_network", "save_network"]

Network = TypeVar("Network", bound=nn.Module)


def save_network(network: Any, path: str | Path) -> None:
    """Write the weights and settings of a network to one safetensors file, whole or not at all.

    Args:
        network: a module with `settings`, the arguments of its constructor.
        path: the file.
    """
    weights = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    metadata = {"network": type(network).__name__, "settings": json.dumps(network.settings)}
    with atomic_path(path) as temporary:
        safetensors.torch.save_file(weights, temporary, {**metadata, **UNSEALED})
        seal(temporary)


def load_network(cls: type[Network], path: str | Path) -> Network:
    """Read a network that `save_network` wrote, in evaluation mode on the CPU.

    Args:
        cls: class of the network.
        path: the file.

    Raises:
        FormatError: if the file is missing, truncated, of another network, or a weight is not finite.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        weights = safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise FormatError(
            f"`{path}` is not a readable safetensors file ({error}). Train the model again."
        ) from error
    check_seal(path)
    with torch.device("meta"):  # shapes without memory, since the file may name any sizes
        expected = _build(cls, metadata, path).state_dict()
    wrong = sorted(
        name
        for name in expected.keys() | weights.keys()
        if name not in weights or name not in expected or weights[name].shape != expected[name].shape
    )
    if wrong:
        raise FormatError(
            f"`{path}` does not hold the weights of a {cls.__name__} with its settings: {len(wrong)} differ, "
            f"first `{wrong[0]}`. Train the model again."
        )
    broken = next((name for name in sorted(weights) if not weights[name].isfinite().all()), None)
    if broken is not None:
        raise FormatError(f"`{path}` holds NaN or infinity in `{broken}`. Train the model again.")
    network = _build(cls, metadata, path)
    network.load_state_dict(weights)
    return network.eval()


def _checked(cls: type[nn.Module], settings: Any) -> dict[str, Any]:
    """Return settings of a file, whose types and ranges fit the arguments of the constructor."""
    try:
        settings_model(cls).model_validate(settings)
    except ValidationError as error:
        raise ValueError(problems_of(error)) from error
    checked: dict[str, Any] = settings
    return checked


def _build(cls: type[Network], metadata: dict[str, str], path: Path) -> Network:
    try:
        if metadata["network"] != cls.__name__:
            raise ValueError(f"expected a {cls.__name__}, got a {metadata['network']}")
        settings = _checked(cls, json.loads(metadata["settings"]))
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn; the caller's generator stays
            return cls(**settings)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, ArithmeticError) as error:
        raise FormatError(
            f"`{path}` does not describe a {cls.__name__}: {error}. Train the model again."
        ) from error
