"""A running mean of the weights, which often recommends better than the weights themselves.

Polyak averaging (Polyak and Juditsky, 1992) in its exponential form: the steps of the optimizer scatter
around where they lead, and their mean is nearer to it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """An exponential mean of a model's parameters over about the last `span` steps.

    Early on it reaches back over no more than a third of the steps done, so that the first weights are soon
    forgotten.

    Args:
        model: whose parameters are averaged.
        span: steps, at least 1.
    """

    def __init__(self, model: nn.Module, span: float) -> None:
        self.model = model
        self.span = max(span, 1.0)
        self.tensors = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` steps, counted from 1."""
        share = max(1.0 / self.span, min(1.0, 3.0 / (step + 2)))
        present = [tensor.detach() for tensor in self.model.parameters()]
        torch._foreach_lerp_(list(self.tensors.values()), present, share)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a mean that was saved."""
        self.tensors = {name: tensors[name].to(old.device, copy=True) for name, old in self.tensors.items()}

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the model have the mean for a while; its own weights come back bit for bit."""
        own = {name: tensor.data for name, tensor in self.model.named_parameters()}
        try:
            self._put(self.tensors)
            yield
        finally:
            self._put(own)

    def _put(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in self.model.named_parameters():
            tensor.data = tensors[name]
