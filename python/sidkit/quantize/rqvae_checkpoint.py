"""The file in which a training of an RQ-VAE leaves its state."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from sidkit.errors import FormatError
from sidkit.quantize.files import read_arrays, write_arrays

if TYPE_CHECKING:
    from sidkit.quantize.rqvae_training import Training

__all__ = ["identity_of", "load_checkpoint", "save_checkpoint"]

_NAME = "sidkit.rqvae-checkpoint"


def identity_of(training: "Training") -> str:
    """A digest of settings, data and extra losses, taken before the first step.

    A checkpoint of others must not be continued.
    """
    digest = hashlib.blake2b(repr(sorted(training.settings.settings().items())).encode(), digest_size=16)
    digest.update(training.x.numpy().tobytes())
    for term in training.extra_losses:
        digest.update(type(term).__qualname__.encode())
        for parameter in term.parameters():
            digest.update(parameter.detach().numpy().tobytes())
    return digest.hexdigest()


def save_checkpoint(training: "Training", path: Path) -> None:
    """Write all that the next epoch depends on, whole or not at all."""
    arrays: dict[str, npt.NDArray[Any]] = training.care.state()
    for name, parameter in training.parameters.items():
        arrays[f"value.{name}"] = parameter.detach().numpy()
        for key, value in training.optimizer.state.get(parameter, {}).items():
            arrays[f"{key}.{name}"] = np.atleast_1d(value.numpy())
    described = {
        "identity": training.identity,
        "epoch": training.epoch,
        "history": training.history,
        "notes": training.watchdog.notes,
        "bad_epochs": training.watchdog.bad_epochs,
    }
    write_arrays(path, _NAME, described, arrays)


@torch.no_grad()
def load_checkpoint(training: "Training", path: Path) -> None:
    """Take over what `save_checkpoint` wrote.

    Raises:
        FormatError: if it is of other settings or data, or damaged.
    """
    described, arrays = read_arrays(path, _NAME)
    if described.get("identity") != training.identity:
        raise FormatError(
            f"{path} is the checkpoint of a training with other settings or data; "
            "hint: delete it to start anew"
        )
    try:
        for name, parameter in training.parameters.items():
            parameter.copy_(torch.from_numpy(arrays[f"value.{name}"]))
            if f"step.{name}" in arrays:
                training.optimizer.state[parameter] = {
                    "step": torch.from_numpy(arrays[f"step.{name}"])[0],
                    "exp_avg": torch.from_numpy(arrays[f"exp_avg.{name}"]),
                    "exp_avg_sq": torch.from_numpy(arrays[f"exp_avg_sq.{name}"]),
                }
        training.care.restore(arrays)
        training.epoch, training.history = int(described["epoch"]), list(described["history"])
        training.watchdog.notes = list(described["notes"])
        training.watchdog.bad_epochs = int(described["bad_epochs"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise FormatError(
            f"{path} is a damaged checkpoint: {error}; hint: delete it to start anew"
        ) from error
