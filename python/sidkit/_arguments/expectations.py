"""Expectations of annotations.

A type that cannot be checked, such as a type variable, is accepted.
"""

import collections.abc
import os
import types
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import numpy as np
import polars as pl

from sidkit._arguments.arrays import array, array_like, is_array_like, scalar_type
from sidkit._arguments.containers import fixed_tuple, function, instance, iterable, mapping, protocol
from sidkit._arguments.metadata import Bounds, Expectation, Refused, Shape
from sidkit.errors import ConfigError, DataError

__all__ = ["expectation_of"]

_NONE = Expectation("None", lambda value: _none(value))
_INT64 = Bounds(ge=-(2**63), le=2**63 - 1)


def expectation_of(annotation: Any) -> Expectation | None:
    """Return the expectation of an annotation, or None if every value is accepted."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated(arguments[0], arguments[1:])
    if annotation in (None, type(None)):
        return _NONE
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if origin is Literal:
        return _literal(arguments)
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin is np.ndarray:
        return array(scalar_type(arguments), None, None)
    return _object(annotation, origin, arguments)


def _scalar(value: Any) -> Any:
    if value is not None and not isinstance(value, Real | np.bool_):
        raise Refused
    return value


def _none(value: Any) -> None:
    if value is not None:
        raise Refused


def _integer(bounds: Bounds) -> Expectation:
    def convert(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise Refused
        bounds.check(value, "an integer")
        _INT64.check(value, "an integer")
        return int(value)  # a NumPy integer would overflow in calculations

    return Expectation("an integer" if bounds is _INT64 else f"an integer{bounds}", convert)


def _number(bounds: Bounds) -> Expectation:
    def convert(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise Refused
        try:
            finite = bool(np.isfinite(float(value)))
        except OverflowError:
            finite = False
        if not finite:
            raise Refused
        bounds.check(value, "a number")
        return value

    return Expectation(f"a finite number{bounds}", convert)


def _bool(value: Any) -> Any:
    if not isinstance(value, bool | np.bool_):
        raise Refused
    return value


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        raise Refused
    try:
        value.isascii() or value.encode()
    except UnicodeEncodeError:
        raise Refused from None
    return value


def _path(value: Any) -> Any:
    if not isinstance(value, str | os.PathLike):
        raise Refused
    text = os.fspath(value)
    if not isinstance(text, str) or "\0" in text:
        raise Refused
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise Refused from None
    return value


def _bytes(value: Any) -> Any:
    if not isinstance(value, bytes):
        raise Refused
    return value


_SCALARS: dict[Any, Expectation | None] = {
    Any: None,
    object: None,
    int: _integer(_INT64),
    float: _number(Bounds()),
    bool: Expectation("True or False", _bool),
    str: Expectation("valid text", _text),
    bytes: Expectation("bytes", _bytes),
}


def _literal(choices: tuple[Any, ...]) -> Expectation:
    def convert(value: Any) -> Any:
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise Refused
        return value

    return Expectation(f"one of {', '.join(str(each) for each in choices)}", convert)


def _union(members: tuple[Any, ...]) -> Expectation | None:
    if any(is_array_like(each) for each in members):
        # The members of `numpy.typing.ArrayLike` are spliced into the union.
        others = [
            each
            for each in members
            if isinstance(each, type) and each not in (complex, bytes, str) and not is_array_like(each)
        ]
        return _any_of([array_like(), *map(expectation_of, others)])
    if any(_is_path(each) for each in members):
        rest = [expectation_of(each) for each in members if not _is_path(each) and each is not str]
        return _any_of([Expectation("a path", _path), *rest])
    if {int, str} <= set(members):  # ids, of which even very large ones are integers
        rest = [expectation_of(each) for each in members if each not in (int, str)]
        return _any_of([_id(), *rest])
    if any(_is_of_ids(each) for each in members):  # its check of the values applies to a Series, too
        members = tuple(each for each in members if each is not pl.Series)
    return _any_of([expectation_of(each) for each in members])


def _is_of_ids(annotation: Any) -> bool:
    origin, arguments = get_origin(annotation), get_args(annotation)
    return origin in (Iterable, collections.abc.Sequence) and {int, str} <= set(get_args(arguments[0]))


def _id() -> Expectation:
    def convert(value: Any) -> Any:
        # Which scalars are ids is up to the column of ids, whose messages name the item.
        return _text(value) if isinstance(value, str) else _scalar(value)

    return Expectation("an integer or valid text", convert, DataError)


def _any_of(members: list[Expectation | None]) -> Expectation | None:
    known = [each for each in members if each is not None]
    if len(known) < len(members):
        return None

    def convert(value: Any) -> Any:
        reasons = []
        for each in known:
            try:
                return each.convert(value)
            except Refused as refused:
                reasons.append(str(refused))
        given = [reason for reason in reasons if reason]
        if given and len(known) - (_NONE in known) == 1:
            raise Refused(f"{given[0]} or None")
        raise Refused

    error = DataError if all(each.error is DataError for each in known if each is not _NONE) else ConfigError
    shape = next((each.shape for each in known if each.shape is not None), None)
    return Expectation(" or ".join(dict.fromkeys(each.text for each in known)), convert, error, shape)


def _annotated(base: Any, metadata: tuple[Any, ...]) -> Expectation | None:
    bounds, shape = None, None
    for each in metadata:
        # The metadata of a pydantic field are constraints with the same names.
        for one in getattr(each, "metadata", [each]):
            if isinstance(one, Shape):
                shape = one
            limits = {name: getattr(one, name, None) for name in ("ge", "gt", "le", "lt")}
            if any(limit is not None for limit in limits.values()):
                merged: dict[str, Any] = vars(bounds) if bounds is not None else {}
                bounds = Bounds(**{**merged, **{key: v for key, v in limits.items() if v is not None}})
    if base is int and bounds is not None:
        return _integer(bounds)
    if base is float and bounds is not None:
        return _number(bounds)
    if get_origin(base) is np.ndarray:
        return array(scalar_type(get_args(base)), bounds, shape)
    if shape is not None:  # of anything that NumPy converts to an array of numbers
        return array(np.number, bounds, shape)
    return expectation_of(base)


def _is_path(annotation: Any) -> bool:
    base = get_origin(annotation) or annotation
    return isinstance(base, type) and issubclass(base, os.PathLike)


def _object(annotation: Any, origin: Any, arguments: tuple[Any, ...]) -> Expectation | None:
    base = origin or annotation
    if base is collections.abc.Callable:
        return function()
    if not isinstance(base, type) or isinstance(annotation, TypeVar):
        return None
    if base is type:
        return instance(type)
    if _is_path(base):
        return Expectation("a path", _path if base is os.PathLike else lambda value: base(_path(value)))
    if issubclass(base, Mapping):
        return mapping(*map(expectation_of, arguments)) if len(arguments) == 2 else mapping(None, None)
    if base is tuple and arguments and arguments[-1] is not Ellipsis:
        return fixed_tuple([expectation_of(each) for each in arguments])
    if base in (list, tuple, set, frozenset) or (
        issubclass(base, Iterable) and base.__module__ == "collections.abc"
    ):
        return iterable(base, expectation_of(arguments[0]) if arguments else None)
    if getattr(base, "_is_protocol", False):
        return protocol(base)

    return instance(base)
