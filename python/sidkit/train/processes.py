"""Data-parallel training in several processes, as started by `torchrun`.

Every process has the whole model and takes its share of each batch. Gradients are summed with the weight of
their examples, so a step equals that of a single process on the whole batch. Only the first process writes
files.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from sidkit._arguments import checked
from sidkit._processes import started_together

__all__ = ["Processes", "join"]

Value = TypeVar("Value")

# The others wait in a collective while the first embeds, clusters, decodes or reports.
_TIMEOUT = timedelta(days=7)


@checked
def join() -> "Processes":
    """Join the processes that `torchrun` started; without them, this process is the only one."""
    if started_together() > 1 and distributed.is_available() and not distributed.is_initialized():
        store, rank, size = next(rendezvous("env://", timeout=_TIMEOUT))
        if os.environ.get("LOCAL_WORLD_SIZE") == str(size):
            # After a restart on one machine the store still holds the addresses of the former processes.
            store = PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
        distributed.init_process_group("gloo", timeout=_TIMEOUT, store=store, rank=rank, world_size=size)
    if not (distributed.is_available() and distributed.is_initialized()):
        return Processes()
    return Processes(distributed.get_rank(), distributed.get_world_size())


@checked
@dataclass(frozen=True)
class Processes:
    """Processes that train together; all of them call every method at the same point.

    Attributes:
        rank: rank of this process, from 0.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """True in the process that writes files."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set in any process."""
        if self.size == 1:
            return flag
        flags = torch.tensor([float(flag)])
        distributed.all_reduce(flags)
        return bool(flags.item())

    def of_first(self, make: Callable[[], Value]) -> Value:
        """Return what `make` returns in the first process; the others do not call it."""
        if self.size == 1:
            return make()
        box: list[Any] = [make() if self.first else None]
        distributed.broadcast_object_list(box)
        value: Value = box[0]
        return value

    def align(self, tensors: Sequence[Tensor]) -> None:
        """Copy the values of the first process to all."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each f32 tensor by its sum over the processes."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.reshape(-1).float().cpu() for tensor in tensors])
        distributed.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def collect(self, tensor: Tensor) -> Tensor:
        """Return the tensors of all processes, (size, ...); with one process the tensor itself."""
        if self.size == 1:
            return tensor
        gathered = [torch.empty_like(tensor) for _ in range(self.size)]
        distributed.all_gather(gathered, tensor)
        return torch.stack(gathered)
