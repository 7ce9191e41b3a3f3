"""Options of RQ-VAE: small frozen objects, and the resolved settings of a training."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from sidkit._arguments import checked, shown
from sidkit._settings import Count, Fraction, NonNegative, Positive, Seed
from sidkit.errors import ConfigError
from sidkit.tokenizers.training.collapse import OnCollapse

__all__ = [
    "EMA",
    "LETTER",
    "AutoencoderSettings",
    "CoST",
    "Distance",
    "Gumbel",
    "Sinkhorn",
    "resolved",
]

Distance: TypeAlias = Literal["l2", "cosine"]

#: Below this entropy, the kernel of optimal transport underflows float64.
_LEAST_EPSILON = 0.003


def _check_weight(name: str, value: float) -> None:
    if not value >= 0:
        raise ConfigError(f"`{name}` is invalid: expected a number >= 0, got {value!r}.")


@checked
@dataclass(frozen=True)
class Gumbel:
    """Gumbel-softmax estimator: random mixtures of codewords that sharpen in training (Jang et al., 2017).

    Gradients reach the encoder and the codebooks.
    """

    temperature: Positive = 1.0
    """Initial temperature of the mixtures; it decays to a tenth."""

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ConfigError(f"`temperature` is invalid: expected a number > 0, got {self.temperature!r}.")


@checked
@dataclass(frozen=True)
class EMA:
    """Codebook update by exponential moving averages (van den Oord et al., 2017, appendix A.1)."""

    decay: Fraction = 0.99
    """Decay of the averages per step."""

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ConfigError(f"`decay` is invalid: expected a number in [0, 1), got {self.decay!r}.")


@checked
@dataclass(frozen=True)
class Sinkhorn:
    """Balanced codes within every training batch, by entropic optimal transport; `encode` ignores it."""

    levels: Literal["last", "all"] = "last"
    """Balanced levels: the `last` (LC-Rec) or `all`."""
    epsilon: Positive = 0.05
    """Weight of the entropy, at least 0.003; a larger value tolerates more distant codewords."""

    def __post_init__(self) -> None:
        if self.levels not in ("last", "all"):
            raise ConfigError(f"`levels` is invalid: expected one of last, all, got {self.levels!r}.")
        if not self.epsilon >= _LEAST_EPSILON:
            raise ConfigError(
                f"`epsilon` is invalid: expected a number >= {_LEAST_EPSILON}, got {self.epsilon!r}."
            )


@checked
@dataclass(frozen=True)
class LETTER:
    """Auxiliary losses of LETTER (Wang et al., 2024): collaborative and diversity regularization.

    `fit` then requires `collaborative_embeddings`.
    """

    collaborative_weight: NonNegative = 0.02
    """Weight of the collaborative loss."""
    diversity_weight: NonNegative = 1e-4
    """Weight of the diversity loss of the codebooks."""

    def __post_init__(self) -> None:
        _check_weight("collaborative_weight", self.collaborative_weight)
        _check_weight("diversity_weight", self.diversity_weight)


@checked
@dataclass(frozen=True)
class CoST:
    """Auxiliary loss of CoST (Zhu et al., 2024): contrastive reconstruction."""

    weight: NonNegative = 0.1
    """Weight of the contrastive loss."""

    def __post_init__(self) -> None:
        _check_weight("weight", self.weight)


@dataclass(frozen=True, kw_only=True)
class AutoencoderSettings:
    """Resolved settings of a training: strings and option objects of the constructor as flat values.

    Attributes:
        ema_decay: decay of moving averages, or None if gradients update the codebooks.
        gumbel_temperature: initial temperature, or None for another estimator.
        rotation: True for the rotation estimator.
        cosine: True if all codewords of a level have one length.
        balanced_levels: number of levels at the end whose codes are balanced.
        sinkhorn_epsilon: weight of the entropy in the balancing.
    """

    codebook_sizes: tuple[int, ...]
    latent_dim: int
    hidden_dims: tuple[int, ...]
    epochs: Count
    warmup_epochs: int
    batch_size: Count
    learning_rate: float
    weight_decay: float
    commitment: float
    gumbel_temperature: float | None
    rotation: bool
    ema_decay: float | None
    cosine: bool
    balanced_levels: int
    sinkhorn_epsilon: float
    kmeans_init: bool
    revive_dead_codes: bool
    refit: bool
    on_collapse: OnCollapse
    seed: Seed
    threads: int | None


_SHORTHANDS = {
    "gumbel": Gumbel(),
    "ema": EMA(),
    "last": Sinkhorn("last"),
    "all": Sinkhorn("all"),
    "letter": LETTER(),
    "cost": CoST(),
}


def resolved(name: str, value: object, options: tuple[type, ...], *choices: str | None) -> object:
    """Return the option object of a parameter that may be an object, its shorthand, or another choice.

    Args:
        name: of the parameter.
        value: its value.
        options: classes of its option objects.
        choices: shorthands and other choices.

    Raises:
        ConfigError: if the value is none of these.
    """
    if isinstance(value, options):
        return value
    if not (value is None or isinstance(value, str)) or value not in choices:
        valid = [str(choice) for choice in choices] + [f"{option.__name__}(...)" for option in options]
        raise ConfigError(f"`{name}` is invalid: expected one of {', '.join(valid)}, got {shown(value)}.")
    return _SHORTHANDS.get(str(value), value)
