"""Optimizer and learning-rate schedule of every training."""

import math

import torch
from torch import nn

__all__ = ["adamw", "learning_rate_share"]


def adamw(network: nn.Module, *, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW over the parameters of a network; only matrices decay."""
    matrices = [tensor for tensor in network.parameters() if tensor.ndim > 1]
    vectors = [tensor for tensor in network.parameters() if tensor.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), fused=True)


def learning_rate_share(step: int, warmup: int, total: int) -> float:
    """Share of the peak learning rate at `step`: linear warm-up, then cosine decay to zero."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))
