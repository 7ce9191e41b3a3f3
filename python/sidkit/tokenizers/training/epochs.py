"""Training of tokenizers by epochs: progress, checkpoints and interruption."""

import hashlib
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sidkit._progress import Progress
from sidkit.errors import ConfigError, FormatError
from sidkit.tokenizers.parts.files import read_arrays, write_arrays
from sidkit.tokenizers.training.collapse import CollapseCheck

__all__ = ["EpochTraining", "forget_moments", "identity_of", "linear_weights", "rate_schedule"]

_SECONDS_BETWEEN_CHECKPOINTS = 20.0

#: Description and arrays of a checkpoint.
_Snapshot = tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]


class EpochTraining(ABC):
    """A training by epochs that resumes from a checkpoint with the same result as without interruption.

    A subclass sets the attributes, and makes every random choice depend on the seed and the epoch alone.

    Attributes:
        name: name of the checkpoint format.
        epochs: number of epochs in total.
        threads: maximum number of threads of torch; None keeps its setting.
        identity: digest of settings and data, see `identity_of`.
        parameters, optimizer: trained parameters by name, and their optimizer.
        collapse_check: check of the codebooks.
        epoch: number of the next epoch.
        history: figures of the epochs so far.
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
        self._snapshot: _Snapshot | None = None

    def train(self, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        """Train to the end; with `checkpoint`, resume from that file and write the state to it."""
        path = None if checkpoint is None else Path(checkpoint)
        if path is not None and path.exists():
            self._load(path)
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(self.threads or threads)
            self._epochs(progress, path)
        except BaseException:  # above all an interruption by the user
            if path is not None and self._snapshot is not None:
                write_arrays(path, self.name, *self._snapshot)
            raise
        finally:
            torch.set_num_threads(threads)
        if path is not None:
            path.unlink(missing_ok=True)

    @abstractmethod
    def _one_epoch(self) -> tuple[dict[str, float], bool]:
        """Train one epoch; return its figures and True if training must stop."""

    @abstractmethod
    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the state of the training besides parameters and optimizer, as named arrays."""

    @abstractmethod
    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore what `state` returned, or raise KeyError or ValueError."""

    def _epochs(self, progress: Progress | None, path: Path | None) -> None:
        saved = time.monotonic()
        while self.epoch < self.epochs:
            figures, stop = self._finite_epoch()
            # After a stop, the remaining epochs count as done.
            self.epoch = self.epochs if stop else self.epoch + 1
            self.history.append(figures)
            if path is not None:
                self._snapshot = self._snap()
                if time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
                    write_arrays(path, self.name, *self._snapshot)
                    saved = time.monotonic()
            if progress is not None:
                progress(self.epoch, self.epochs, **figures)

    def _finite_epoch(self) -> tuple[dict[str, float], bool]:
        """Train one epoch, or raise ConfigError if its weights are not finite."""
        error, result = None, None
        try:
            result = self._one_epoch()
        except ValueError as found:  # from the exact kernels, which require finite vectors
            error = found
        if not all(bool(parameter.isfinite().all()) for parameter in self.parameters.values()):
            raise ConfigError(
                f"the training diverged in epoch {self.epoch}: expected finite weights, got NaN or infinity. "
                "Use a lower learning_rate."
            ) from error
        if error is not None:
            raise error
        assert result is not None
        return result

    def _snap(self) -> _Snapshot:
        """Copy the state between two epochs, since an interruption comes in the middle of one."""
        arrays = self.state()
        for name, parameter in self.parameters.items():
            arrays[f"value.{name}"] = parameter.detach().numpy()
            for key, value in self.optimizer.state.get(parameter, {}).items():
                arrays[f"{key}.{name}"] = np.atleast_1d(value.numpy())
        described = {
            "identity": self.identity,
            "epoch": self.epoch,
            "history": list(self.history),
            "notes": list(self.collapse_check.notes),
            "bad_epochs": self.collapse_check.bad_epochs,
        }
        return described, {name: np.array(array) for name, array in arrays.items()}

    @torch.no_grad()
    def _load(self, path: Path) -> None:
        """Resume from a checkpoint, or raise FormatError if it has another identity or is damaged."""
        described, arrays = read_arrays(path, self.name)
        if described.get("identity") != self.identity:
            raise FormatError(
                f"the checkpoint {path} belongs to another training: expected the identity {self.identity} "
                f"of these settings and data, got {described.get('identity')}. Delete it to start again."
            )
        try:
            for name, parameter in self.parameters.items():
                parameter.copy_(torch.from_numpy(arrays[f"value.{name}"]))
                if f"step.{name}" in arrays:
                    self.optimizer.state[parameter] = {
                        "step": torch.from_numpy(arrays[f"step.{name}"])[0],
                        "exp_avg": torch.from_numpy(arrays[f"exp_avg.{name}"]),
                        "exp_avg_sq": torch.from_numpy(arrays[f"exp_avg_sq.{name}"]),
                    }
            self.restore(arrays)
            self.epoch, self.history = int(described["epoch"]), list(described["history"])
            self.collapse_check.notes = list(described["notes"])
            self.collapse_check.bad_epochs = int(described["bad_epochs"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise FormatError(
                f"the checkpoint {path} is damaged: expected the arrays of this training, got: {error}. "
                "Delete it to start again."
            ) from error


def identity_of(settings: Mapping[str, Any], learned_from: Iterable[npt.NDArray[Any] | str]) -> str:
    """Compute a digest of settings and training data, which a checkpoint must share to be resumed."""
    digest = hashlib.blake2b(repr(sorted(settings.items())).encode(), digest_size=16)
    for each in learned_from:
        digest.update(each.encode() if isinstance(each, str) else np.ascontiguousarray(each).tobytes())
    return digest.hexdigest()


def rate_schedule(part: float, warmup: float = 0.05) -> float:
    """Compute the learning rate relative to its maximum: linear warm-up, cosine decay.

    Args:
        part: completed share of the training, in 0..1.
        warmup: share of the training with a rising learning rate.
    """
    return min(1.0, part / warmup + 1e-3) * (0.5 + 0.5 * math.cos(math.pi * part))


def forget_moments(
    optimizer: torch.optim.Optimizer, parameter: nn.Parameter, rows: Sequence[int] | npt.NDArray[np.intp]
) -> None:
    """Clear the moments of Adam for rows that were reinitialized."""
    for moment in ("exp_avg", "exp_avg_sq"):
        if moment in optimizer.state.get(parameter, {}):
            optimizer.state[parameter][moment][torch.as_tensor(rows)] = 0


def linear_weights(layers: nn.Module) -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """Return weight, float32 (out, in), and bias, float32 (out,), of each linear layer, for `Perceptron`."""
    linear = [layer for layer in layers.modules() if isinstance(layer, nn.Linear)]
    return [(layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()) for layer in linear]
