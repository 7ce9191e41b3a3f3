"""What trainings of tokenizers share: epochs, progress, checkpoints, interrupts."""

import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sidkit.errors import ConfigError
from sidkit.tokenizers.base import Progress
from sidkit.tokenizers.training.checkpoint import Snapshot, load_checkpoint
from sidkit.tokenizers.training.collapse import CollapseCheck

__all__ = ["EpochTraining", "forget_moments", "linear_weights", "risen_and_fallen"]

_SECONDS_BETWEEN_CHECKPOINTS = 20.0


class EpochTraining(ABC):
    """A training by epochs, which goes on from a checkpoint as if it had never been interrupted.

    A kind of training fills the attributes, and takes care that every random choice depends on the seed and
    the epoch only.

    Attributes:
        name: of the checkpoint, in its file.
        epochs: in all.
        threads: of torch, at most; those that it has if None.
        identity: of settings and data, see `identity_of`.
        parameters, optimizer: what is trained, by name, and by what.
        collapse_check: of the codebooks.
        epoch: the next one.
        history: figures of those before.
    """

    name: ClassVar[str]
    epochs: int
    threads: int | None
    identity: str
    parameters: dict[str, nn.Parameter]
    optimizer: torch.optim.Optimizer
    collapse_check: CollapseCheck

    def __init__(self) -> None:
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self._snapshot: Snapshot | None = None

    def train(self, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        """Train to the end; with `checkpoint`, go on from there and leave the state there now and then."""
        path = None if checkpoint is None else Path(checkpoint)
        if path is not None and path.exists():
            load_checkpoint(self, path)
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(self.threads or threads)
            self._epochs(progress, path)
        except BaseException:  # an interrupt above all
            if path is not None and self._snapshot is not None:
                self._snapshot.save(path)
            raise
        finally:
            torch.set_num_threads(threads)
        if path is not None:
            path.unlink(missing_ok=True)

    @abstractmethod
    def _one_epoch(self) -> tuple[dict[str, float], bool]:
        """The figures of an epoch, and whether training must stop."""

    @abstractmethod
    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What the next epoch depends on beside parameters and optimizer, as named arrays."""

    @abstractmethod
    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` gave, or raise KeyError or ValueError."""

    def _epochs(self, progress: Progress | None, path: Path | None) -> None:
        saved = time.monotonic()
        while self.epoch < self.epochs:
            figures, stop = self._finite_epoch()
            # After a stop, the epochs that are left count as done.
            self.epoch = self.epochs if stop else self.epoch + 1
            self.history.append(figures)
            if path is not None:
                self._snapshot = Snapshot.take(self)
                if time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
                    self._snapshot.save(path)
                    saved = time.monotonic()
            if progress is not None:
                progress(self.epoch, self.epochs, figures)

    def _finite_epoch(self) -> tuple[dict[str, float], bool]:
        """One epoch, or ConfigError if its weights are no finite numbers any more."""
        error = None
        try:
            told = self._one_epoch()
        except ValueError as found:  # of the exact kernels, which take finite vectors only
            error = found
        if not all(bool(parameter.isfinite().all()) for parameter in self.parameters.values()):
            raise ConfigError(
                f"the training diverged in epoch {self.epoch}: weights grew beyond all numbers; "
                "hint: a lower learning_rate"
            ) from error
        if error is not None:
            raise error
        return told


def risen_and_fallen(part: float, warm_up: float = 0.05) -> float:
    """The share of the highest learning rate after a part of a training: up a line, down half a cosine."""
    return min(1.0, part / warm_up + 1e-3) * (0.5 + 0.5 * math.cos(math.pi * part))


def forget_moments(
    optimizer: torch.optim.Optimizer, parameter: nn.Parameter, rows: Sequence[int] | npt.NDArray[np.intp]
) -> None:
    """Clear what Adam remembers of rows that were set anew."""
    for moment in ("exp_avg", "exp_avg_sq"):
        if moment in optimizer.state.get(parameter, {}):
            optimizer.state[parameter][moment][torch.as_tensor(rows)] = 0


def linear_weights(layers: nn.Module) -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """Weight, float32 (out, in), and bias, float32 (out,), of each linear layer, for `Perceptron`."""
    linear = [layer for layer in layers.modules() if isinstance(layer, nn.Linear)]
    return [(layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()) for layer in linear]
