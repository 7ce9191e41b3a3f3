"""Processes beside the first: `torchrun` starts them, and they help to train, stage by stage.

The first process runs the pipeline as if it were alone. When it comes to a training it tells the others
which; they read from the run directory what the stages before have made, and join. Between trainings they wait.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

from sidkit._processes import leads, started_together
from sidkit.run.config import ModelName, RunConfig
from sidkit.run.directory import RunDirectory

__all__ = ["Training", "assist", "call_assistants", "helped"]

#: What there is to train: a model, or what the tokenizer learns from behaviour by training a model.
Training: TypeAlias = ModelName | Literal["tokenize"]


def assist(config: RunConfig, path: str | os.PathLike[str]) -> RunDirectory:
    """Help the first process until it has no more to train; nothing is written."""
    from sidkit.run.stages import Work
    from sidkit.train.processes import join

    processes = join()
    while (order := processes.of_first(_nothing)) is not None:
        training, workspace, fingerprint = order
        with contextlib.suppress(KeyboardInterrupt):  # agreed upon with the first, who says what is next
            Work(config, RunDirectory(path)).assist(training, Path(workspace), fingerprint)
    return RunDirectory(path)


def call_assistants(training: Training, workspace: Path, fingerprint: str) -> None:
    """Tell the other processes, if there are any, to join in a training."""
    if started_together() > 1 and leads():
        _tell((training, str(workspace), fingerprint))


@contextlib.contextmanager
def helped() -> Iterator[None]:
    """Let the other processes go at the end, whatever it is."""
    try:
        yield
    finally:
        if started_together() > 1:
            _tell(None)


def _tell(order: tuple[Training, str, str] | None) -> None:
    from sidkit.train.processes import join

    join().of_first(lambda: order)


def _nothing() -> tuple[Training, str, str] | None:
    return None
