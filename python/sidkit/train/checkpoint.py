"""Checkpoints: the complete state of a training in one safetensors file."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from sidkit._arguments import checked
from sidkit._files import UNSEALED, atomic_path, check_seal, seal
from sidkit.errors import FormatError, RunDirectoryError
from sidkit.train.optimizer import WeightAverage

__all__ = ["Checkpoint", "TrainingState"]

Tensors = dict[str, Tensor]
_DAMAGE = (
    OSError,
    SafetensorError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    ArithmeticError,
)


@checked
class Checkpoint:
    """Callback that makes a training resumable.

    The state of the training is written to `<path>/checkpoint.safetensors` at regular intervals, on Ctrl-C
    and on SIGTERM. A later `fit` with the same options and data continues from it, with the result that the
    uninterrupted training would have had. At the end the file is removed.

    Args:
        path: directory of the file; made if it does not exist.
        every_seconds: wall time between two checkpoints.
        identity: fingerprint of anything else that decides what is trained; a checkpoint with another one is
            refused.
        keep: keep the file at the end, with the state of the finished training, until `remove` is called. A
            process that fails before it has saved its model then loses nothing.
    """

    def __init__(
        self, path: str | Path, every_seconds: float = 120.0, identity: str = "", *, keep: bool = False
    ) -> None:
        self.path = Path(path)
        self.every_seconds = every_seconds
        self.identity = identity
        self.keep = keep

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.path)!r}, every_seconds={self.every_seconds})"

    @property
    def file(self) -> Path:
        """Path of the checkpoint file."""
        return self.path / "checkpoint.safetensors"

    def remove(self) -> None:
        """Remove the file if there is one."""
        self.file.unlink(missing_ok=True)


@dataclass
class TrainingState:
    """State of a training between two steps.

    Attributes:
        identity: what is trained, and how; a checkpoint of another training is refused.
        step: steps done.
        history: `History.as_dict()` so far.
        weights: parameters of the network.
        best: weights of the best evaluation so far; empty before the first.
        moments: the two running means of AdamW for each trained tensor, by the tensor's name.
        average: running mean of the trained tensors; empty without weight averaging.
        generator: state of torch's random generator, uint8; one row per process if there are several.
    """

    identity: dict[str, Any]
    step: int
    history: dict[str, Any]
    weights: Tensors
    best: Tensors
    moments: dict[str, tuple[Tensor, Tensor]]
    average: Tensors = field(default_factory=dict)
    generator: Tensor = field(default_factory=torch.get_rng_state)

    @staticmethod
    def moments_of(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, tuple[Tensor, Tensor]]:
        """Return the running means of AdamW by the name of their tensor; shared, not copied."""
        return {
            name: (optimizer.state[tensor]["exp_avg"], optimizer.state[tensor]["exp_avg_sq"])
            for name, tensor in network.named_parameters()
            if tensor in optimizer.state
        }

    def restore(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: WeightAverage | None = None,
    ) -> None:
        """Put the state back into a network and a fresh optimizer.

        Args:
            network: receives the weights.
            optimizer: receives its running means.
            average: receives the running mean of the weights, if there is one.
        """
        network.load_state_dict(self.weights, strict=False)  # buffers are not trained
        for name, tensor in network.named_parameters():
            if name in self.moments:
                first, second = self.moments[name]
                optimizer.state[tensor] = {
                    "step": torch.tensor(float(self.step), device=tensor.device),
                    "exp_avg": first.to(tensor.device),
                    "exp_avg_sq": second.to(tensor.device),
                }
        if average is not None:
            average.restore(self.average)

    def restore_generator(self, rank: int = 0, processes: int = 1) -> bool:
        """Put the state of torch's random generator back, if there were as many processes as now.

        Args:
            rank: rank of this process.
            processes: number of processes.

        Returns:
            False if there was another number of processes; the generator is then left as it is.
        """
        states = self.generator if self.generator.ndim == 2 else self.generator[None]
        if len(states) != processes:
            return False
        torch.set_rng_state(states[rank].clone())
        return True

    def save(self, path: Path) -> None:
        """Write the state to a file, whole or not at all."""
        tensors = {f"weights/{name}": tensor for name, tensor in self.weights.items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        tensors |= {f"average/{name}": tensor for name, tensor in self.average.items()}
        for name, (first, second) in self.moments.items():
            tensors |= {f"first/{name}": first, f"second/{name}": second}
        tensors["generator"] = self.generator
        state = {"identity": self.identity, "step": self.step, "history": self.history}
        contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
        with atomic_path(path) as temporary:
            safetensors.torch.save_file(contiguous, temporary, {"checkpoint": json.dumps(state), **UNSEALED})
            seal(temporary)

    @classmethod
    def load(cls, path: Path, identity: dict[str, Any]) -> "TrainingState":
        """Read the state of the training `identity`.

        Raises:
            FormatError: if the file is truncated or is not a checkpoint.
            RunDirectoryError: if it belongs to a training with other settings or data.
        """
        try:
            check_seal(path)
            with safe_open(path, framework="pt") as file:
                state = json.loads(file.metadata()["checkpoint"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            found, step, history = state["identity"], int(state["step"]), state["history"]
            generator = tensors.pop("generator")
            groups: dict[str, Tensors] = {"weights": {}, "best": {}, "average": {}, "first": {}, "second": {}}
            for key, tensor in tensors.items():
                group, _, name = key.partition("/")
                groups[group][name] = tensor
            moments = {name: (first, groups["second"][name]) for name, first in groups["first"].items()}
            found = dict(found)
        except _DAMAGE as error:
            raise FormatError(
                f"`{path}` is not a checkpoint of sidkit ({error}). Delete it to train from the beginning."
            ) from error
        differing = sorted(
            key for key in found.keys() | identity.keys() if found.get(key) != identity.get(key)
        )
        if differing:
            changes = ", ".join(
                f"`{key}`: expected {identity.get(key)!r}, got {found.get(key)!r}" for key in differing
            )
            raise RunDirectoryError(
                f"`{path}` is a checkpoint of another training: {changes}. Use the former settings or "
                "another directory, or delete the file to train from the beginning."
            )
        weights, best, average = groups["weights"], groups["best"], groups["average"]
        return cls(found, step, history, weights, best, moments, average, generator)
