"""Which number format matrix products use on this CPU."""

from typing import Literal

import torch

from sidkit.errors import ConfigError

__all__ = ["autocast", "resolve_device", "resolve_precision"]


def resolve_device(device: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """`auto` is `cuda` where there is such a device, `cpu` elsewhere.

    Raises:
        ConfigError: if `cuda` is wanted and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("`device` is `cuda`, but torch finds no such device here; use `auto` or `cpu`")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def resolve_precision(
    precision: Literal["auto", "f32", "bf16"], device: str = "cpu"
) -> Literal["f32", "bf16"]:
    """`auto` is `bf16` where the device multiplies it in hardware, `f32` elsewhere.

    On a CPU that takes AVX512-BF16 or AMX.
    """
    if precision != "auto":
        return precision
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "f32"
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if fast else "f32"


def autocast(precision: Literal["auto", "f32", "bf16"], device: str = "cpu") -> torch.autocast:
    """A context in which matrix products run in the resolved precision; weights and sums stay f32."""
    return torch.autocast(
        device, dtype=torch.bfloat16, enabled=resolve_precision(precision, device) == "bf16"
    )
