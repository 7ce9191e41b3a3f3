"""Which number format matrix products use on this CPU."""

from typing import Literal

import torch

__all__ = ["autocast", "resolve_precision"]


def resolve_precision(precision: Literal["auto", "f32", "bf16"]) -> Literal["f32", "bf16"]:
    """`auto` is `bf16` where the CPU multiplies it in hardware (AVX512-BF16 or AMX), `f32` elsewhere."""
    if precision != "auto":
        return precision
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if fast else "f32"


def autocast(precision: Literal["auto", "f32", "bf16"]) -> torch.autocast:
    """A context in which matrix products run in the resolved precision; weights and sums stay f32."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=resolve_precision(precision) == "bf16")
