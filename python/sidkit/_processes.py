"""Processes started together by `torchrun`, read from its environment without importing torch."""

import os

__all__ = ["leads", "started_together"]


def started_together() -> int:
    """Return the number of processes that `torchrun` started, 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "MASTER_ADDR" in os.environ else 1


def leads() -> bool:
    """Return whether this is the first process or the only one; it writes files and reports progress."""
    return started_together() == 1 or os.environ.get("RANK", "0") == "0"
