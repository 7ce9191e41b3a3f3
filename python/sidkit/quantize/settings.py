"""Checks of settings, by their names."""

from sidkit.errors import ConfigError

__all__ = ["check_counts", "check_positive", "check_seed"]


def check_counts(settings: object, *names: str) -> None:
    """Raise ConfigError if one of these attributes is less than 1; None stands for no number."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be at least 1, not {value}")


def check_positive(settings: object, *names: str) -> None:
    """Raise ConfigError if one of these attributes is not above 0."""
    for name in names:
        value = getattr(settings, name)
        if not value > 0:
            raise ConfigError(f"{name} must be positive, not {value}")


def check_seed(seed: int) -> None:
    """Raise ConfigError if a seed is negative."""
    if seed < 0:
        raise ConfigError(f"seed must be at least 0, not {seed}")
