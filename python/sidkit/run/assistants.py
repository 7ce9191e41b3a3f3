"""Further processes of `torchrun`: they take their share of every training.

The first process runs the pipeline as if it were alone. When it comes to a training, it sends its name to the
others, which read the results of the earlier stages from the run directory and join. Between trainings they
wait.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from sidkit._processes import leads, started_together

__all__ = ["assist", "call_assistants", "helped"]

#: What is trained (a recommender by name, or `tokenize`), where, and the fingerprint of the stage.
Order = tuple[str, str, str]


def assist(train: Callable[[str, Path, str], None]) -> None:
    """Take a share of every training of the first process, until it has no more.

    Args:
        train: called with what is trained, the directory for checkpoints, and the fingerprint of the stage.
    """
    while (order := _shared(_nothing)) is not None:
        name, workspace, fingerprint = order
        with contextlib.suppress(KeyboardInterrupt):  # the first process was interrupted too, and decides
            train(name, Path(workspace), fingerprint)


def call_assistants(name: str, workspace: Path, fingerprint: str) -> None:
    """Let the other processes, if there are any, join in a training."""
    if started_together() > 1 and leads():
        _shared(lambda: (name, str(workspace), fingerprint))


@contextlib.contextmanager
def helped() -> Iterator[None]:
    """Dismiss the other processes at the end, even after an error."""
    try:
        yield
    finally:
        if started_together() > 1:
            _shared(_nothing)


def _shared(order: Callable[[], Order | None]) -> Order | None:
    from sidkit.train.processes import join

    return join().of_first(order)


def _nothing() -> Order | None:
    return None
