"""Dropout that is fast on a CPU.

`torch.nn.Dropout` draws a full random number per element, which on a CPU takes longer than the matrix product
before it. With a rate that is a multiple of 1/256, one random byte per element is enough, and eight bytes
come from one random number.
"""

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["ByteDropout"]


class ByteDropout(nn.Module):
    """Zero each element with probability `rate` and scale the others by `1 / (1 - rate)`.

    In evaluation mode it is the identity. Random bytes are drawn on the device of the tensor. On a GPU, their
    seed comes from the CPU generator, whose state alone determines a training.

    Args:
        rate: probability in [0, 1); it is rounded to a multiple of 1/256 (0.1 becomes 26/256 = 0.1016).

    Raises:
        ValueError: if `rate` is outside [0, 1).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"a dropout rate must be in [0, 1), got {rate}")
        self.rate = rate
        self.threshold = min(round(rate * 256), 255)

    def forward(self, x: Tensor) -> Tensor:
        """Apply dropout to a float tensor of any shape."""
        if not self.training or self.threshold == 0:
            return x
        dropped: Tensor = _Drop.apply(x, self.threshold)
        return dropped

    def extra_repr(self) -> str:
        """Return the rate, for `print(network)`."""
        return f"rate={self.rate}"


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: int) -> Tensor:
        generator = None
        if x.device.type not in ("cpu", "meta"):  # tensors on `meta` hold no numbers
            seed = int(torch.randint(2**63 - 1, ()))
            generator = torch.Generator(x.device).manual_seed(seed)
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device)
        words.random_(-(2**63), None, generator=generator)
        dropped = (words.view(torch.uint8)[: x.numel()] < threshold).view(x.shape)
        ctx.save_for_backward(dropped)
        ctx.scale = 256 / (256 - threshold)
        return x.masked_fill(dropped, 0.0).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (dropped,) = ctx.saved_tensors
        return grads[0].masked_fill(dropped, 0.0).mul_(ctx.scale), None
