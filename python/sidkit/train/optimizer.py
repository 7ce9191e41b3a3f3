"""Optimizer, learning-rate schedule and weight averaging of every training.

Polyak averaging (Polyak and Juditsky, 1992) in its exponential form reduces the noise of the optimizer's
steps.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["LazyAdamW", "WeightAverage", "adamw", "clip_gradients", "learning_rate_share"]


class LazyAdamW(torch.optim.AdamW):
    """AdamW that updates only the rows of a table that have a gradient, where gradients are sparse.

    The running means and the decay of the other rows rest, as in `torch.optim.SparseAdam`. For dense
    gradients, it is `torch.optim.AdamW`.
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the parameters from their gradients."""
        tables = []
        for group in self.param_groups:
            for tensor in group["params"]:
                if tensor.grad is not None and tensor.grad.is_sparse:
                    tables.append((group, tensor, tensor.grad.coalesce()))
                    tensor.grad = None  # the fused update takes dense gradients only
        super().step()
        for group, table, gradient in tables:
            self._update_rows(group, table, gradient)

    def _update_rows(self, group: dict[str, Any], table: Tensor, gradient: Tensor) -> None:
        state = self.state[table]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(table), torch.zeros_like(table)
        state["step"] += 1
        step, (first, second) = state["step"].item(), group["betas"]
        rows, values = gradient.indices()[0], gradient.values()
        mean = state["exp_avg"].index_select(0, rows).lerp_(values, 1 - first)
        square = (
            state["exp_avg_sq"].index_select(0, rows).mul_(second).addcmul_(values, values, value=1 - second)
        )
        state["exp_avg"].index_copy_(0, rows, mean)
        state["exp_avg_sq"].index_copy_(0, rows, square)
        root = square.sqrt_().div_((1 - second**step) ** 0.5).add_(group["eps"])
        decayed = table.index_select(0, rows).mul_(1 - group["lr"] * group["weight_decay"])
        table.index_copy_(0, rows, decayed.addcdiv_(mean, root, value=-group["lr"] / (1 - first**step)))


def adamw(network: nn.Module, *, learning_rate: float, weight_decay: float) -> LazyAdamW:
    """Return AdamW over the parameters of a network; only matrices decay."""
    matrices = [tensor for tensor in network.parameters() if tensor.ndim > 1]
    vectors = [tensor for tensor in network.parameters() if tensor.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return LazyAdamW(groups, lr=learning_rate, betas=(0.9, 0.98), fused=True)


@torch.no_grad()
def clip_gradients(network: nn.Module, largest: float) -> None:
    """Scale the gradients of a network, dense or sparse, to a joint 2-norm of at most `largest`."""
    values = []
    for tensor in network.parameters():
        if tensor.grad is None:
            continue
        if tensor.grad.is_sparse:
            tensor.grad = tensor.grad.coalesce()
            values.append(tensor.grad.values())
        else:
            values.append(tensor.grad)
    norm = torch.nn.utils.get_total_norm(values)
    torch._foreach_mul_(values, (largest / (norm + 1e-6)).clamp(max=1.0))


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
