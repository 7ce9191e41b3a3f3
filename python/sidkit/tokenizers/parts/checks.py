"""Checks of settings, by their names."""

from collections.abc import Iterable
from numbers import Integral
from typing import Any

from sidkit.errors import ConfigError

__all__ = ["check_counts", "check_counts_or_none", "check_positive", "check_seed", "check_widths"]


def check_counts(settings: object, *names: str) -> None:
    """Raise ConfigError if one of these attributes is no integer of at least 1."""
    for name in names:
        value = getattr(settings, name)
        if not _is_integer(value):
            raise ConfigError(f"{name} must be an integer, not {value!r}")
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, not {value}")


def check_counts_or_none(settings: object, *names: str) -> None:
    """The same of attributes that may be None."""
    check_counts(settings, *(name for name in names if getattr(settings, name) is not None))


def check_positive(settings: object, *names: str) -> None:
    """Raise ConfigError if one of these attributes is not above 0."""
    for name in names:
        value = getattr(settings, name)
        if not value > 0:
            raise ConfigError(f"{name} must be positive, not {value}")


def check_seed(seed: int) -> None:
    """Raise ConfigError if a seed is no integer, or negative."""
    if not _is_integer(seed):
        raise ConfigError(f"seed must be an integer, not {seed!r}")
    if seed < 0:
        raise ConfigError(f"seed must be at least 0, not {seed}")


def check_widths(name: str, widths: Any) -> list[int]:
    """Widths of layers as plain integers, or ConfigError if these are no list of integers of at least 1."""
    given = list(widths) if isinstance(widths, Iterable) and not isinstance(widths, str) else None
    if given is None or not all(_is_integer(width) and width >= 1 for width in given):
        raise ConfigError(
            f"{name} must be a list of widths of at least 1, such as [256, 128], not {widths!r}"
        )
    return [int(width) for width in given]


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
