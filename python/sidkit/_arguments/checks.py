"""Checks of arguments by their annotations.

`checked` is the one policy for arguments of public functions, methods and constructors: a wrong type, shape
or number is a ConfigError or a DataError that names the argument, what was expected and what was given. NumPy
arrays are passed on in the annotated type: equal integers of another width are converted, masked arrays and
numbers that would change are refused.
"""

import functools
import inspect
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, cast

import numpy as np

from sidkit._arguments.expectations import expectation_of
from sidkit._arguments.metadata import Expectation, Refused, Shape, shown
from sidkit.errors import DataError

__all__ = ["check_argument", "checked"]

_Target = TypeVar("_Target")


def checked(target: _Target) -> _Target:
    """Check the arguments of a function, or of the constructor and the public methods of a class.

    Args:
        target: a function, or a class; of a dataclass, the decorator comes above `@dataclass`.

    Returns:
        The function with checks, or the same class.
    """
    if not isinstance(target, type):
        return cast(_Target, _checked_function(cast(Callable[..., Any], target)))
    for name, member in list(vars(target).items()):
        if name == "forward" or (name.startswith("_") and name != "__init__"):
            continue
        if isinstance(member, FunctionType):
            setattr(target, name, _checked_function(member))
        elif isinstance(member, classmethod | staticmethod):
            setattr(target, name, type(member)(_checked_function(member.__func__)))
    return target


def check_argument(name: str, value: Any, annotation: Any) -> Any:
    """Check one value by an annotation, where that of the function says less.

    Args:
        name: name of the argument in messages.
        value: the argument.
        annotation: a type, with or without metadata.

    Returns:
        The value in the annotated type.

    Raises:
        ConfigError, DataError: if the value is not of this type.
    """
    expectation = _expectation(annotation)
    return value if expectation is None else _converted(name, value, expectation)


_expectation = functools.cache(expectation_of)


def _converted(name: str, value: Any, expectation: Expectation) -> Any:
    try:
        return expectation.convert(value)
    except Refused as refused:
        expected = str(refused) or expectation.text
        raise expectation.error(f"`{name}` is invalid: expected {expected}, got {shown(value)}.") from None


def _checked_function(function: Callable[..., Any]) -> Callable[..., Any]:
    if hasattr(function, "__checked__"):
        return function
    signature = inspect.signature(function)

    @functools.cache
    def expectations() -> dict[str, Expectation]:
        # Resolved at the first call, when all modules are imported.
        return {
            name: expectation
            for name, parameter in signature.parameters.items()
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            and (expectation := expectation_of(_resolved(parameter.annotation, function))) is not None
        }

    defaults = {name: one.default for name, one in signature.parameters.items()}

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # raises the error of the call
        found: dict[str, tuple[str, int]] = {}
        for name, value in bound.arguments.items():
            expectation = expectations().get(name)
            if expectation is None or value is defaults[name]:
                continue
            converted = _converted(name, value, expectation)
            if expectation.shape is not None and isinstance(converted, np.ndarray):
                _check_dimensions(name, converted, expectation.shape, found)
            bound.arguments[name] = converted
        return function(*bound.args, **bound.kwargs)

    call.__checked__ = True  # type: ignore[attr-defined]
    return call


def _check_dimensions(
    name: str, array: np.ndarray[Any, Any], shape: Shape, found: dict[str, tuple[str, int]]
) -> None:
    for axis, (dim, length) in enumerate(zip(shape.dims, array.shape, strict=True)):
        other, expected = (name, dim) if isinstance(dim, int) else found.setdefault(dim, (name, length))
        if length != expected:
            raise DataError(
                f"`{name}` does not fit `{other}`: expected length {expected} of axis {axis}, got {length}."
            )


def _resolved(annotation: Any, function: Callable[..., Any]) -> Any:
    """Return the type of an annotation; `Any` if it is a name for type checkers only."""
    if annotation is inspect.Parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, vars(sys.modules[function.__module__]))
    except NameError:
        return Any
