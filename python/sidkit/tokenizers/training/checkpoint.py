"""The file in which a training of a tokenizer leaves its state."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from sidkit.errors import FormatError
from sidkit.tokenizers.parts.files import read_arrays, write_arrays

if TYPE_CHECKING:
    from sidkit.tokenizers.training.epochs import EpochTraining

__all__ = ["Snapshot", "identity_of", "load_checkpoint"]


def identity_of(settings: Mapping[str, Any], learned_from: Iterable[npt.NDArray[Any] | str]) -> str:
    """A digest of settings and of all that is learned from, taken before the first step.

    A checkpoint of others must not be continued.
    """
    digest = hashlib.blake2b(repr(sorted(settings.items())).encode(), digest_size=16)
    for each in learned_from:
        digest.update(each.encode() if isinstance(each, str) else np.ascontiguousarray(each).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Snapshot:
    """All that the next epoch of a training depends on, as it is between two epochs.

    An interrupt comes in the middle of an epoch, when weights have moved that the epoch will move again.
    """

    name: str
    described: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]

    @classmethod
    def take(cls, training: "EpochTraining") -> "Snapshot":
        """Copy the state of a training."""
        arrays = training.state()
        for name, parameter in training.parameters.items():
            arrays[f"value.{name}"] = parameter.detach().numpy()
            for key, value in training.optimizer.state.get(parameter, {}).items():
                arrays[f"{key}.{name}"] = np.atleast_1d(value.numpy())
        described = {
            "identity": training.identity,
            "epoch": training.epoch,
            "history": list(training.history),
            "notes": list(training.collapse_check.notes),
            "bad_epochs": training.collapse_check.bad_epochs,
        }
        return cls(training.name, described, {name: np.array(array) for name, array in arrays.items()})

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        write_arrays(path, self.name, self.described, self.arrays)


@torch.no_grad()
def load_checkpoint(training: "EpochTraining", path: Path) -> None:
    """Take over what `Snapshot.save` wrote.

    Raises:
        FormatError: if it is of other settings or data, or damaged.
    """
    described, arrays = read_arrays(path, training.name)
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
        training.restore(arrays)
        training.epoch, training.history = int(described["epoch"]), list(described["history"])
        training.collapse_check.notes = list(described["notes"])
        training.collapse_check.bad_epochs = int(described["bad_epochs"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise FormatError(
            f"{path} is a damaged checkpoint: {error}; hint: delete it to start anew"
        ) from error
