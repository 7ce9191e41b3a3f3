"""Whether `torchrun` started several processes, as its environment tells; needs no torch."""

import os

__all__ = ["leads", "started_together"]


def started_together() -> int:
    """How many processes `torchrun` started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "MASTER_ADDR" in os.environ else 1


def leads() -> bool:
    """Whether this is the first of the processes, or the only one."""
    return started_together() == 1 or os.environ.get("RANK", "0") == "0"
