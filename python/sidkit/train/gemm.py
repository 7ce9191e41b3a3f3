"""How fast this machine multiplies matrices, which is what a training step is compared with."""

import time
from functools import cache
from typing import Literal

import torch

__all__ = ["gemm_peak"]

_WIDTH = 1024  # 2.1 Gflop a product: milliseconds, and large enough for a core's full speed
_SECONDS = 0.2


def gemm_peak(precision: Literal["f32", "bf16"], device: str = "cpu") -> float:
    """Operations a second of the fastest plain product of two square matrices among some 0.2 s of them.

    Measured once in a process for each precision, device and number of torch's threads.

    Args:
        precision: of the matrices.
        device: where they are, `cpu` or `cuda`.
    """
    return _measured(precision, device, torch.get_num_threads())


@cache
def _measured(precision: str, device: str, threads: int) -> float:
    # A generator of its own, so that no training draws other numbers for having been measured.
    made = torch.rand(_WIDTH, _WIDTH, generator=torch.Generator().manual_seed(0))
    matrix = made.to(device, torch.bfloat16 if precision == "bf16" else torch.float32)
    out = torch.empty_like(matrix)
    least, began = float("inf"), time.perf_counter()
    while True:
        started = time.perf_counter()
        torch.mm(matrix, matrix, out=out)
        if device == "cuda":
            torch.cuda.synchronize()
        ended = time.perf_counter()
        least = min(least, ended - started)
        if ended - began > _SECONDS:
            return float(2 * _WIDTH**3 / least)
