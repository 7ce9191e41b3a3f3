"""Optimizer, learning-rate schedule and weight averaging of every training.

Polyak averaging (Polyak and Juditsky, 1992) in its exponential form reduces the noise of the optimizer's
steps.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage", "adamw", "learning_rate_share"]


def adamw(network: nn.Module, *, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW over the parameters of a network; only matrices decay."""
    matrices = [tensor for tensor in network.parameters() if tensor.ndim > 1]
    vectors = [tensor for tensor in network.parameters() if tensor.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), fused=True)


def learning_rate_share(step: int, warmup: int, total: int, schedule: str = "cosine") -> float:
    """Share of the peak learning rate at `step`: linear warm-up, then cosine decay to zero or `constant`."""
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))


class WeightAverage:
    """Exponential moving average of the parameters over about the last `span` steps.

    Early on, it covers at most a third of the steps done, so the initial weights do not linger.

    Args:
        model: module whose parameters are averaged.
        span: number of steps, at least 1.
    """

    def __init__(self, model: nn.Module, span: float) -> None:
        self.model = model
        self.span = max(span, 1.0)
        self.tensors = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the weights after `step` steps, counted from 1."""
        share = max(1.0 / self.span, min(1.0, 3.0 / (step + 2)))
        present = [tensor.detach() for tensor in self.model.parameters()]
        torch._foreach_lerp_(list(self.tensors.values()), present, share)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from a saved mean."""
        self.tensors = {name: tensors[name].to(old.device, copy=True) for name, old in self.tensors.items()}

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model the mean within a `with` block; its own weights are restored bit for bit."""
        own = {name: tensor.data for name, tensor in self.model.named_parameters()}
        try:
            self._put(self.tensors)
            yield
        finally:
            self._put(own)

    def _put(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in self.model.named_parameters():
            tensor.data = tensors[name]
