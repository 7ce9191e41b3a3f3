"""The settings of a training, as plain values."""

from dataclasses import dataclass
from typing import Literal

from sidkit.errors import ConfigError

__all__ = ["TrainSettings"]


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How a model is trained.

    Attributes:
        max_steps: steps of the whole training; the learning rate falls as a cosine over all of them.
        batch_size: examples (TIGER) or sequences (SASRec) a step.
        learning_rate: the highest rate, reached after the warm-up.
        weight_decay: AdamW's, on matrices only.
        warmup_steps: steps of linear warm-up.
        clip_norm: the longest gradient, in the 2-norm over all parameters; 0 for no limit.
        weight_averaging: the share of the training, below 1, over which weights are averaged before they are judged
            and kept; 0 for the weights as they are.
        patience: stop after so many evaluations without a better validation NDCG@10; 0 for never.
        evaluate_every_steps: steps between two evaluations; the last step is always evaluated.
        checkpoint_every_seconds: wall time between two checkpoints.
        precision: `bf16` computes matrix products in bfloat16, `auto` does so where the CPU has the
            instructions.
        device: where the model is trained; `auto` takes a GPU if there is one.
        measure_gemm: whether a plain matrix product is timed before the first step (0.2 s), so that the
            history can tell the training's share of its speed.
        seed: of the weights, the order of examples and the dropout.

    Raises:
        ConfigError: if a value is outside its range.
    """

    max_steps: int = 10_000
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_steps: int = 200
    clip_norm: float = 1.0
    weight_averaging: float = 0.0
    patience: int = 0
    evaluate_every_steps: int = 500
    checkpoint_every_seconds: float = 120.0
    precision: Literal["auto", "f32", "bf16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    measure_gemm: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        positive = ("max_steps", "batch_size", "learning_rate", "evaluate_every_steps")
        for name in positive:
            if getattr(self, name) <= 0:
                raise ConfigError(f"`{name}` must be greater than 0, not {getattr(self, name)}")
        for name in (
            "weight_decay",
            "warmup_steps",
            "clip_norm",
            "weight_averaging",
            "patience",
            "checkpoint_every_seconds",
            "seed",
        ):
            if getattr(self, name) < 0:
                raise ConfigError(f"`{name}` must be 0 or more, not {getattr(self, name)}")
        if self.weight_averaging >= 1:
            raise ConfigError(f"`weight_averaging` must be below 1, not {self.weight_averaging}")
        if self.precision not in ("auto", "f32", "bf16"):
            raise ConfigError(f"`precision` must be `auto`, `f32` or `bf16`, not `{self.precision}`")
        if self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"`device` must be `auto`, `cpu` or `cuda`, not `{self.device}`")
