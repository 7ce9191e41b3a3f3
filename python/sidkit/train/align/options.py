"""Settings that all alignment methods share."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from sidkit._params import Parameters
from sidkit._settings import Count, NonNegative, Positive, Seed, check_arguments
from sidkit.train.align.group import Group
from sidkit.train.options import TrainSettings

__all__ = ["AlignmentMethod"]


@dataclass(frozen=True, kw_only=True, repr=False)
class AlignmentMethod(Parameters, ABC):
    """Base class of the methods: an objective, and the settings of its optimization.

    A subclass sets `method` and implements `losses`.

    Attributes:
        method: name of the method in files and on the command line.
        on_policy: whether groups are drawn from the policy that is trained; otherwise from the reference.
        beta_scale: factor on a `beta` that is derived from the KL budget.
    """

    method: ClassVar[str]
    on_policy: ClassVar[bool] = False
    beta_scale: ClassVar[float] = 1.0

    beta: Positive | None = None
    """Strength with which the policy is kept near the reference: the best policy is the reference times
    exp(reward / beta). None derives it from the KL budget and the rewards of items that the reference
    draws."""
    group_size: Annotated[int, Field(ge=2, le=4096)] = 16
    """Different items that are drawn after each history."""
    steps: Count = 300
    """Optimizer steps at most."""
    batch_size: Count = 64
    """Histories of a step."""
    learning_rate: Positive = 2e-4
    """Peak learning rate, reached after the warm-up."""
    warmup_steps: Annotated[int, Field(ge=0)] = 20
    """Steps of linear learning-rate warm-up."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate after the warm-up: decays to zero as a cosine, or stays constant."""
    clip_norm: NonNegative = 1.0
    """Largest norm of the gradient over all parameters; 0 for no limit."""
    evaluate_every_steps: Count = 25
    """Steps between two evaluations, at which the budgets are checked."""
    patience: Annotated[int, Field(ge=0)] = 4
    """Evaluations without a better policy inside the budgets after which training stops; 0 for never."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of the training; `auto` is a GPU if there is one."""
    seed: Seed = 0
    """Seed of the order of histories and of all draws."""

    def __post_init__(self) -> None:
        check_arguments(self)

    @property
    def updates(self) -> int:
        """Optimizer steps for which a group is used."""
        return 1

    @abstractmethod
    def losses(self, group: Group, beta: float) -> Tensor:
        """Return the loss of each history, float (B,).

        Args:
            group: items after a batch of histories.
            beta: the setting, or the value derived for it.
        """

    def settings(self) -> dict[str, Any]:
        """Return the settings by name, as JSON values."""
        return {"method": self.method, **self.get_params(deep=False)}

    def train_settings(self) -> TrainSettings:
        """Return the settings of the training loop."""
        return TrainSettings(
            max_steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=0.0,
            warmup_steps=self.warmup_steps,
            schedule=self.schedule,
            clip_norm=self.clip_norm,
            patience=self.patience,
            evaluate_every_steps=self.evaluate_every_steps,
            precision="f32",
            device=self.device,
            measure_gemm=False,
            seed=self.seed,
        )
