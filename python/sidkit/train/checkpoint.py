"""Checkpoints: everything a training needs to go on as if it had never stopped, in one safetensors file."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from sidkit._files import atomic_path
from sidkit.errors import FormatError, RunDirectoryError
from sidkit.train.averaging import WeightAverage

__all__ = ["Checkpoint"]

Tensors = dict[str, Tensor]


@dataclass
class Checkpoint:
    """The state of a training between two steps.

    Attributes:
        identity: what was being trained, and how; a checkpoint of another training is refused.
        step: steps done.
        history: `History.as_dict()` so far.
        weights: the model's state.
        best: the weights of the best evaluation so far; empty before the first.
        moments: AdamW's two running means for each trained tensor, by the tensor's name.
        average: the running mean of the trained tensors; empty where none is kept.
        generator: the state of torch's random generator, uint8; one row a process if there are several.
    """

    identity: dict[str, Any]
    step: int
    history: dict[str, Any]
    weights: Tensors
    best: Tensors
    moments: dict[str, tuple[Tensor, Tensor]]
    average: Tensors = field(default_factory=dict)
    generator: Tensor = field(default_factory=torch.get_rng_state)

    @classmethod
    def take(
        cls,
        identity: dict[str, Any],
        step: int,
        history: dict[str, Any],
        model: nn.Module,
        best: Tensors,
        optimizer: torch.optim.Optimizer,
        average: WeightAverage | None = None,
    ) -> "Checkpoint":
        """Gather the state of a running training; tensors are shared, not copied."""
        moments = {
            name: (optimizer.state[tensor]["exp_avg"], optimizer.state[tensor]["exp_avg_sq"])
            for name, tensor in model.named_parameters()
            if tensor in optimizer.state
        }
        means = dict(average.tensors) if average is not None else {}
        return cls(identity, step, history, dict(model.state_dict()), best, moments, means)

    def restore(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: WeightAverage | None = None,
        *,
        rank: int = 0,
    ) -> None:
        """Put the state back into a model, a fresh optimizer, and torch's random generator.

        Args:
            model: gets the weights.
            optimizer: gets its moments.
            average: gets the running mean, if there is one.
            rank: of this process, among several.
        """
        model.load_state_dict(self.weights)
        for name, tensor in model.named_parameters():
            if name in self.moments:
                first, second = self.moments[name]
                optimizer.state[tensor] = {
                    "step": torch.tensor(float(self.step), device=tensor.device),
                    "exp_avg": first.to(tensor.device),
                    "exp_avg_sq": second.to(tensor.device),
                }
        if average is not None:
            average.restore(self.average)
        torch.set_rng_state(self.generator if self.generator.ndim == 1 else self.generator[rank].clone())

    def save(self, path: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        tensors = {f"weights/{name}": tensor for name, tensor in self.weights.items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        tensors |= {f"average/{name}": tensor for name, tensor in self.average.items()}
        for name, (first, second) in self.moments.items():
            tensors |= {f"first/{name}": first, f"second/{name}": second}
        tensors["generator"] = self.generator
        state = {"identity": self.identity, "step": self.step, "history": self.history}
        contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
        with atomic_path(path) as temporary:
            safetensors.torch.save_file(contiguous, temporary, {"checkpoint": json.dumps(state)})

    @classmethod
    def load(cls, path: Path, identity: dict[str, Any]) -> "Checkpoint":
        """Read a checkpoint of the training `identity`.

        Raises:
            FormatError: if the file is truncated or foreign.
            RunDirectoryError: if it belongs to a training with other settings or data.
        """
        try:
            with safe_open(path, framework="pt") as file:
                state = json.loads(file.metadata()["checkpoint"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            found, step, history = state["identity"], int(state["step"]), state["history"]
            generator = tensors.pop("generator")
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise FormatError(
                f"`{path}` is not a checkpoint of ours ({error}); delete it to train from the beginning"
            ) from error
        differing = sorted(
            key for key in found.keys() | identity.keys() if found.get(key) != identity.get(key)
        )
        if differing:
            changes = ", ".join(
                f"`{key}`: {found.get(key)!r} then, {identity.get(key)!r} now" for key in differing
            )
            raise RunDirectoryError(
                f"`{path}` is a checkpoint of another training ({changes}); "
                "go back to those settings, use another folder, or delete it to train from the beginning"
            )
        parts: dict[str, Tensors] = {"weights": {}, "best": {}, "average": {}, "first": {}, "second": {}}
        for key, tensor in tensors.items():
            part, _, name = key.partition("/")
            parts[part][name] = tensor
        moments = {name: (first, parts["second"][name]) for name, first in parts["first"].items()}
        weights, best, average = parts["weights"], parts["best"], parts["average"]
        return cls(found, step, history, weights, best, moments, average, generator)
