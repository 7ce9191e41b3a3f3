"""Checks of constructor parameters."""

from collections.abc import Sequence
from numbers import Integral
from typing import Annotated, Any

import numpy as np

from sidkit._arguments import Bounds, Count, Seed, check_argument, shown
from sidkit.errors import ConfigError

__all__ = [
    "check_choice",
    "check_counts",
    "check_counts_or_none",
    "check_flags",
    "check_non_negative",
    "check_positive",
    "check_seed",
    "check_sizes",
    "check_widths",
]

#: Largest number of levels that the layout of a Semantic ID supports.
_MOST_LEVELS = 128
_MOST_CODES = 65536


def check_counts(estimator: object, *names: str) -> None:
    """Raise ConfigError unless these attributes are integers of at least 1."""
    _check_each(estimator, names, Count)


def check_counts_or_none(estimator: object, *names: str) -> None:
    """Raise ConfigError unless these attributes are None or integers of at least 1."""
    check_counts(estimator, *(name for name in names if getattr(estimator, name) is not None))


def check_positive(estimator: object, *names: str) -> None:
    """Raise ConfigError unless these attributes are numbers above 0."""
    _check_each(estimator, names, Annotated[float, Bounds(gt=0)])


def check_non_negative(estimator: object, *names: str) -> None:
    """Raise ConfigError unless these attributes are numbers of at least 0."""
    _check_each(estimator, names, Annotated[float, Bounds(ge=0)])


def check_flags(estimator: object, *names: str) -> None:
    """Raise ConfigError unless these attributes are True or False."""
    _check_each(estimator, names, bool)


def _check_each(estimator: object, names: Sequence[str], annotation: Any) -> None:
    for name in names:
        check_argument(name, getattr(estimator, name), annotation)


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Raise ConfigError unless `value` is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise ConfigError(f"`{name}` is invalid: expected one of {', '.join(choices)}, got {shown(value)}.")


def check_seed(seed: int) -> None:
    """Raise ConfigError unless a seed is an integer of at least 0."""
    check_argument("seed", seed, Seed)


def check_widths(name: str, widths: Any) -> list[int]:
    """Return widths of layers as plain integers.

    Raises:
        ConfigError: if `widths` is not a sequence of integers of at least 1.
    """
    given = list(widths) if _is_list(widths) else None
    if given is None or not all(_is_integer(width) and width >= 1 for width in given):
        raise ConfigError(
            f"`{name}` is invalid: expected a list of widths >= 1 such as [256, 128], got {shown(widths)}."
        )
    return [int(width) for width in given]


def check_sizes(levels: int, codebook_size: int | Sequence[int]) -> tuple[int, ...]:
    """Return the number of codewords of each level.

    Raises:
        ConfigError: if `levels` or `codebook_size` is out of range, or they do not fit together.
    """
    if not _is_integer(levels) or not 1 <= levels <= _MOST_LEVELS:
        raise ConfigError(
            f"`levels` is invalid: expected an integer in 1..{_MOST_LEVELS}, got {shown(levels)}."
        )
    given: Any = codebook_size
    sizes = tuple(given) if _is_list(given) else (given,) * int(levels)
    if len(sizes) != levels:
        raise ConfigError(
            f"`codebook_size` does not fit `levels`: expected one size or {levels}, got {len(sizes)}."
        )
    if not all(_is_integer(size) and 1 <= size <= _MOST_CODES for size in sizes):
        raise ConfigError(
            f"`codebook_size` is invalid: expected integers in 1..{_MOST_CODES}, got {shown(codebook_size)}."
        )
    return tuple(int(size) for size in sizes)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | range) or (isinstance(value, np.ndarray) and value.ndim == 1)


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
