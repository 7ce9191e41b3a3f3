"""Expectations of containers, functions and classes."""

import collections.abc
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np

from sidkit._arguments.metadata import Expectation, Refused
from sidkit.errors import DataError

__all__ = ["fixed_tuple", "function", "instance", "iterable", "mapping", "protocol"]


def _check(part: Expectation, value: Any) -> None:
    """Check one value of a container, whose own expectation is the one to name."""
    try:
        part.convert(value)
    except Refused:
        raise Refused from None


def instance(base: type) -> Expectation:
    """Expect an object of a class."""

    def convert(value: Any) -> Any:
        if not isinstance(value, base):
            raise Refused
        return value

    article = "an" if base.__name__[0] in "AEIOU" else "a"
    return Expectation(f"{article} {base.__name__}", convert, DataError)


def function() -> Expectation:
    """Expect anything that can be called."""

    def convert(value: Any) -> Any:
        if not callable(value):
            raise Refused
        return value

    return Expectation("a function", convert)


def mapping(keys: Expectation | None, values: Expectation | None) -> Expectation:

    def convert(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise Refused
        for key, each in value.items():
            if keys is not None:
                _check(keys, key)
            if values is not None:
                _check(values, each)
        return value

    parts = [each.text if each is not None else "anything" for each in (keys, values)]
    return Expectation(f"a mapping of {parts[0]} to {parts[1]}", convert)


def fixed_tuple(parts: list[Expectation | None]) -> Expectation:

    def convert(value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) != len(parts):
            raise Refused
        for each, part in zip(value, parts, strict=True):
            if part is not None:
                _check(part, each)
        return value

    return Expectation(f"{len(parts)} values", convert)


def iterable(base: type, part: Expectation | None) -> Expectation:
    needs_length = issubclass(base, collections.abc.Sized)
    ordered = issubclass(base, collections.abc.Sequence)

    def convert(value: Any) -> Any:
        if isinstance(value, str | bytes | Mapping | np.ma.MaskedArray) or not isinstance(value, Iterable):
            raise Refused
        if getattr(value, "ndim", 1) == 0:
            raise Refused
        if (needs_length and not hasattr(value, "__len__")) or (ordered and isinstance(value, Set)):
            raise Refused
        try:
            iter(value)
        except Exception:  # of the object's own iterator
            raise Refused from None
        if (
            part is not None
            and isinstance(value, np.ndarray)
            and value.ndim == 1
            and value.dtype.kind in "iuf"
        ):
            for each in (value.min(), value.max()) if value.size else ():
                _check(part, each)
        elif part is not None and type(value).__module__.startswith("polars"):
            for each in _samples(value):
                _check(part, each)
        elif part is not None and hasattr(value, "__len__"):
            for each in value:
                _check(part, each)
        return value

    noun = "a sequence" if needs_length else "an iterable"
    text = noun if part is None else f"{noun}, each of them {part.text}"
    return Expectation(text, convert, DataError if part is None else part.error)


def _samples(column: Any) -> list[Any]:
    """Values of a column of polars that are valid only if all are: extremes of numbers, a few of others."""
    if not hasattr(column, "null_count") or not hasattr(column, "dtype"):
        raise Refused  # a table
    nulls = [None] if column.null_count() else []
    some = [column.min(), column.max()] if column.dtype.is_numeric() else column.head(16).to_list()
    return [*nulls, *some] if len(column) else []


def protocol(base: type) -> Expectation:
    if "__call__" in vars(base):
        return function()
    names = [*base.__annotations__, *(name for name in vars(base) if not name.startswith("_"))]

    def convert(value: Any) -> Any:
        if not all(hasattr(value, name) for name in names):
            raise Refused
        return value

    return Expectation(f"a {base.__name__}, with {', '.join(names)}", convert)
