"""Settings of the training loop, and the training options of the recommenders.

Each option is defined once; every recommender inherits those that apply to it.
"""

from dataclasses import dataclass, fields
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sidkit._arguments import checked
from sidkit._settings import Count, Fraction, NonNegative, Positive, Seed
from sidkit.errors import ConfigError

__all__ = ["EpochOptions", "SoftmaxOptions", "TokenOptions", "TrainSettings", "TrainingOptions"]


@checked
@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings of the training loop.

    Attributes:
        max_steps: optimizer steps of the whole training.
        batch_size: examples of a step.
        learning_rate: peak learning rate, reached after the warm-up.
        weight_decay: weight decay of AdamW, applied to matrices only.
        warmup_steps: steps of linear learning-rate warm-up.
        schedule: learning rate after the warm-up: `cosine` decays to zero over `max_steps`, `constant` stays.
        clip_norm: largest 2-norm of the gradient over all parameters; 0 for no limit.
        weight_averaging: share of the training, below 1, over which the weights are averaged before they are
            evaluated and kept; 0 for no averaging.
        patience: evaluations without a better validation NDCG@10 after which training stops; 0 for never.
        evaluate_every_steps: steps between two evaluations; the last step is always evaluated.
        precision: `bf16` computes matrix products in bfloat16; `auto` does so where the processor has the
            instructions.
        device: device of the training; `auto` is a GPU if there is one.
        measure_gemm: time a plain matrix product before the first step (0.2 s), so that the history can
            report the share of its speed that the training reaches.
        seed: seed of dropout; callers use it for the initial weights and the order of examples.

    Raises:
        ConfigError: if a value is outside its range.
    """

    max_steps: int = 10_000
    batch_size: Count = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_steps: int = 200
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_norm: float = 1.0
    weight_averaging: float = 0.0
    patience: int = 0
    evaluate_every_steps: int = 500
    precision: Literal["auto", "f32", "bf16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    measure_gemm: bool = True
    seed: Seed = 0

    def __post_init__(self) -> None:
        for name in ("max_steps", "batch_size", "learning_rate", "evaluate_every_steps"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"`{name}` must be greater than 0, got {getattr(self, name)}")
        for name in ("weight_decay", "warmup_steps", "clip_norm", "weight_averaging", "patience", "seed"):
            if getattr(self, name) < 0:
                raise ConfigError(f"`{name}` must be 0 or more, got {getattr(self, name)}")
        if self.weight_averaging >= 1:
            raise ConfigError(f"`weight_averaging` must be below 1, got {self.weight_averaging}")
        if self.schedule not in ("cosine", "constant"):
            raise ConfigError(f"`schedule` must be `cosine` or `constant`, got `{self.schedule}`")
        if self.precision not in ("auto", "f32", "bf16"):
            raise ConfigError(f"`precision` must be `auto`, `f32` or `bf16`, got `{self.precision}`")
        if self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"`device` must be `auto`, `cpu` or `cuda`, got `{self.device}`")


_LOOP = tuple(field.name for field in fields(TrainSettings))


@checked
@dataclass(kw_only=True, eq=False, repr=False)
class TrainingOptions:
    """Training with AdamW and linear learning-rate warm-up."""

    #: Options that do not change what is learned.
    not_in_identity: ClassVar[frozenset[str]] = frozenset({"device", "measure_gemm"})

    max_steps: Count = 3500
    """Optimizer steps of the whole training."""
    batch_size: Count = 128
    """Examples of a step: histories, or prefixes of histories."""
    learning_rate: Positive = 1e-3
    """Peak learning rate, reached after the warm-up."""
    weight_decay: NonNegative = 0.01
    """Weight decay of AdamW, applied to matrices only."""
    warmup_steps: Annotated[int, Field(ge=0)] = 200
    """Steps of linear learning-rate warm-up."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate after the warm-up: decays to zero as a cosine, or stays constant."""
    clip_norm: NonNegative = 1.0
    """Largest norm of the gradient over all parameters; 0 for no limit."""
    weight_averaging: Fraction = 0.0
    """Share of the training over which the weights are averaged (EMA) before they are evaluated; 0 for
    none."""
    patience: Annotated[int, Field(ge=0)] = 5
    """Evaluations without a better validation NDCG@10 after which training stops; 0 for never."""
    evaluate_every_steps: Count = 175
    """Steps between two evaluations on validation."""
    validate_users: Annotated[int, Field(ge=0, le=2**31 - 1)] = 2000
    """Validation users of an evaluation, drawn at random where there are more; 0 for all."""
    validate_exclude_seen: bool = True
    """Exclude the items of each history when weights are chosen on validation."""
    precision: Literal["auto", "f32", "bf16"] = "auto"
    """Number format of matrix products; `auto` is `bf16` where the processor has instructions for it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of the training; `auto` is a GPU if there is one."""
    measure_gemm: bool = True
    """Time a plain matrix product first (0.2 s), to report the share of its speed that the training
    reaches."""
    shuffle_ties: bool = False
    """Shuffle training events with tied timestamps at every epoch."""
    seed: Seed = 0
    """Seed of the initial weights, the order of examples and dropout."""

    def train_settings(self, steps_per_epoch: int) -> TrainSettings:
        """Return the settings of the training loop.

        Args:
            steps_per_epoch: batches of an epoch.

        Raises:
            ConfigError: if an option is outside its range.
        """
        return TrainSettings(**{name: getattr(self, name) for name in _LOOP})


@checked
@dataclass(kw_only=True, eq=False, repr=False)
class EpochOptions(TrainingOptions):
    """Training whose length is given in epochs."""

    epochs: Positive = 12.0
    """Passes over the training histories; ignored if `max_steps` is given."""
    min_steps: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Optimizer steps at least, so that small data is passed more often than `epochs`."""
    max_steps: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Optimizer steps of the whole training; 0 for `epochs` and `min_steps`."""
    evaluate_every_steps: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Steps between two evaluations on validation; 0 for once per epoch."""

    def train_settings(self, steps_per_epoch: int) -> TrainSettings:
        """Return the settings of the training loop, with the steps that the epochs need."""
        values = {name: getattr(self, name) for name in _LOOP}
        values["max_steps"] = self.max_steps or max(1, round(self.epochs * steps_per_epoch), self.min_steps)
        values["evaluate_every_steps"] = self.evaluate_every_steps or max(1, steps_per_epoch)
        return TrainSettings(**values)


@checked
@dataclass(kw_only=True, eq=False, repr=False)
class SoftmaxOptions(EpochOptions):
    """Training of a scoring model with a softmax over the items."""

    epochs: Positive = 20.0
    validate_users: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Validation users of an evaluation, drawn at random where there are more; 0 for all."""
    loss: Literal["full", "sampled"] = "full"
    """Softmax over all items, or its estimate from a sample of items with log-q correction."""
    negatives: Count = 2048
    """Items in a sample, shared by all positions of a step (`sampled`)."""
    negatives_by: Literal["uniform", "popularity"] = "uniform"
    """Distribution from which the sample is drawn (`sampled`)."""


@checked
@dataclass(kw_only=True, eq=False, repr=False)
class TokenOptions:
    """Regularization of a model that is trained on the tokens of Semantic IDs."""

    label_smoothing: Fraction = 0.0
    """Share of a target that is spread evenly over the tokens of its level (by RQTransformer over all
    Semantic IDs; where these are sampled, it has no effect)."""
    token_masking: Fraction = 0.0
    """Share of the input tokens that are masked (by RQTransformer together with the tokens after them)."""
