"""The batch of a training step, and the interface of sources of batches."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sidkit._arguments import Bounds, Count, Shape, Size, check_argument
from sidkit.errors import DataError
from sidkit.models.layers.lengths import length_groups

__all__ = ["Batch", "Batches", "check_rows", "mean_by_length"]


@dataclass(frozen=True)
class Batch:
    """Input of one training step.

    Attributes:
        history: int64; tokens (B, n, L) of a generative model, or item rows (B, T).
        target: int64; tokens (B, L), or item rows (B, T).
        users: user indices, int64 (B,).
        weight: share of a full batch, in (0, 1]; the loss of a smaller batch counts less.
        targets: number of targets of each row, int64 (B,); the loss is a mean over their sum.
        tokens: real positions, without padding, for throughput.
        share: share of the targets of the whole batch, in [0, 1]; below 1 for one of several processes.
    """

    history: Tensor
    target: Tensor
    users: Tensor
    weight: float
    targets: Tensor
    tokens: int
    share: float = 1.0

    def part(self, rank: int, size: int) -> "Batch":
        """Return the part of one of `size` processes: every `size`-th row, possibly none."""
        rows = slice(rank, None, size)
        return replace(
            self,
            history=self.history[rows],
            target=self.target[rows],
            users=self.users[rows],
            targets=self.targets[rows],
            share=int(self.targets[rows].sum()) / int(self.targets.sum()),
        )

    def by_length(self) -> "list[Batch]":
        """Return the groups of rows of similar length, each padded to its own longest row only."""
        return [
            replace(
                self,
                history=self.history[rows, :width],
                target=self.target[rows, :width],
                users=self.users[rows],
                targets=self.targets[rows],
            )
            for rows, width in length_groups(self.targets)
        ]

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device; the number of targets stays on the CPU."""
        history, target, users = (part.to(device) for part in (self.history, self.target, self.users))
        return replace(self, history=history, target=target, users=users)


def mean_by_length(loss: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
    """Return the mean loss over the targets of a batch, computed in groups of similar length."""
    total = batch.targets.sum()
    losses = [loss(part) * (part.targets.sum() / total).item() for part in batch.by_length()]
    return torch.stack(losses).sum()


def check_rows(rows: NDArray[np.integer[Any]], examples: int) -> NDArray[np.int64]:
    """Return rows of examples, at least one, or raise DataError if there is another."""
    kind = Annotated[NDArray[np.int64], Shape("rows"), Bounds(ge=0, le=examples - 1)]
    found: NDArray[np.int64] = check_argument("rows", rows, kind)
    if not len(found):
        raise DataError("`rows` is invalid: expected at least one row, got none.")
    return found


class Batches(Protocol):
    """Source of batches from which `fit` can start at any step."""

    steps: int  # batches per epoch, the same in each

    def epoch(self, epoch: Size) -> Iterable[NDArray[np.int64]]:
        """Return the rows of every batch of an epoch, in order; `load` reads this epoch from now on."""
        ...

    def load(self, rows: NDArray[np.int64], rank: Size = 0, size: Count = 1) -> Batch:
        """Gather one batch, or the part of one of `size` processes, which may have no row."""
        ...
