"""Device and number format of a training."""

from typing import Literal

import torch

from sidkit._arguments import checked
from sidkit.errors import ConfigError

__all__ = ["autocast", "resolve_device", "resolve_precision"]


@checked
def resolve_device(device: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """Return the device; `auto` is `cuda` if there is such a device, else `cpu`.

    Raises:
        ConfigError: if `cuda` is requested and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("`device` is `cuda`, but torch finds no such device here. Use `auto` or `cpu`.")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


@checked
def resolve_precision(
    precision: Literal["auto", "f32", "bf16"], device: Literal["cpu", "cuda"] = "cpu"
) -> Literal["f32", "bf16"]:
    """Return the number format; `auto` is `bf16` where the device has instructions for it, else `f32`.

    On a CPU, these are AVX512-BF16 or AMX.
    """
    if precision != "auto":
        return precision
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "f32"
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if fast else "f32"


@checked
def autocast(
    precision: Literal["auto", "f32", "bf16"], device: Literal["cpu", "cuda"] = "cpu"
) -> torch.autocast:
    """Return a context in which matrix products run in the resolved precision; weights and sums stay f32."""
    return torch.autocast(
        device, dtype=torch.bfloat16, enabled=resolve_precision(precision, device) == "bf16"
    )
