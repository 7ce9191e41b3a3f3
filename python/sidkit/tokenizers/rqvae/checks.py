"""Which settings of an RQ-VAE make sense."""

from typing import TYPE_CHECKING

from sidkit.errors import ConfigError
from sidkit.tokenizers.parts.checks import check_counts, check_counts_or_none, check_positive, check_seed
from sidkit.tokenizers.rqvae.sinkhorn import LEAST_EPSILON
from sidkit.tokenizers.training.collapse import ON_COLLAPSE

if TYPE_CHECKING:
    from sidkit.tokenizers.rqvae.rqvae import RQVAE

__all__ = ["check_settings"]

_CHOICES = {
    "update": ("gradient", "ema"),
    "estimator": ("straight-through", "rotation", "gumbel"),
    "distance": ("l2", "cosine"),
    "sinkhorn": ("none", "last", "all"),
    "on_collapse": ON_COLLAPSE,
}


def check_settings(settings: "RQVAE") -> None:
    """Raise ConfigError if a setting, or two together, make no sense."""
    check_counts(settings, "latent", "epochs", "batch_size")
    check_counts_or_none(settings, "whiten", "threads")
    if not 0 <= settings.plain_epochs < settings.epochs:
        raise ConfigError(
            f"plain_epochs must be in 0..{settings.epochs - 1}, less than epochs, not {settings.plain_epochs}"
        )
    check_positive(settings, "learning_rate", "temperature")
    check_seed(settings.seed)
    for name in ("weight_decay", "commitment"):
        if not getattr(settings, name) >= 0:
            raise ConfigError(f"{name} must not be negative, but it is {getattr(settings, name)}")
    for name, choices in _CHOICES.items():
        if getattr(settings, name) not in choices:
            raise ConfigError(f"{name} must be one of {', '.join(choices)}, not {getattr(settings, name)!r}")
    if not 0 <= settings.decay < 1:
        raise ConfigError(f"decay must be in [0, 1), not {settings.decay}")
    if not settings.sinkhorn_epsilon >= LEAST_EPSILON:
        raise ConfigError(
            f"sinkhorn_epsilon must be at least {LEAST_EPSILON}, not {settings.sinkhorn_epsilon}"
        )
    if settings.estimator == "gumbel" and settings.sinkhorn != "none":
        raise ConfigError(
            'estimator="gumbel" mixes codewords and sinkhorn chooses one; hint: leave one of them out'
        )
    if settings.whiten is not None and not settings.standardize:
        raise ConfigError("whiten needs centred vectors; hint: leave standardize=True")
