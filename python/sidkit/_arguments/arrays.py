"""Expectations of arrays."""

from typing import Any, get_args, get_origin

import numpy as np

from sidkit._arguments.metadata import Bounds, Expectation, Refused, Shape
from sidkit.errors import DataError

__all__ = ["array", "array_like", "is_array_like", "scalar_type"]

#: Kinds of arrays that an array of a scalar type may be made from.
_KINDS = {
    np.bool_: "b",
    np.integer: "iu",
    np.signedinteger: "iu",
    np.unsignedinteger: "iu",
    np.floating: "fiu",
    np.number: "fiub",
}
#: Types of empty arrays, which NumPy makes of floats.
_OF_EMPTY = {"b": np.bool_, "iu": np.int64, "fiu": np.float64, "fiub": np.float64}


def is_array_like(annotation: Any) -> bool:
    return getattr(annotation, "__name__", "") in ("_SupportsArray", "_Buffer") or getattr(
        get_origin(annotation), "__name__", ""
    ) in ("_SupportsArray", "_NestedSequence")


def array_like() -> Expectation:
    def convert(value: Any) -> Any:
        if isinstance(value, np.ma.MaskedArray):
            raise Refused
        if isinstance(value, np.ndarray):
            return value
        try:
            np.asarray(value)
        except Exception:  # of any object's own conversion
            raise Refused from None
        return value

    return Expectation("an array without mask", convert, DataError)


def scalar_type(arguments: tuple[Any, ...]) -> Any:
    dtype = get_args(arguments[1]) if len(arguments) > 1 else ()
    return (get_origin(dtype[0]) or dtype[0]) if dtype else Any  # of `np.integer[Any]`, the class


def array(scalar: Any, bounds: Bounds | None, shape: Shape | None) -> Expectation:
    kinds = next(
        (k for base, k in _KINDS.items() if isinstance(scalar, type) and issubclass(scalar, base)), ""
    )
    dtype = np.dtype(scalar) if kinds in ("iu", "fiu") and scalar not in _KINDS else None
    noun = {
        "b": "a boolean array",
        "iu": "an integer array",
        "fiu": "an array of numbers",
        "fiub": "an array of numbers",
    }.get(kinds, "an array")

    def convert(value: Any) -> Any:
        if isinstance(value, np.ma.MaskedArray):
            raise Refused
        try:
            array = np.asarray(value)
        except Exception:  # of any object's own conversion
            raise Refused from None
        if shape is not None and array.ndim != len(shape.dims):
            raise Refused
        if kinds and array.dtype.kind not in kinds:
            if array.size:
                raise Refused
            array = array.astype(_OF_EMPTY[kinds])
        if not kinds and array.dtype.kind == "O":
            raise Refused
        if array.size and bounds is not None and array.dtype.kind not in "biuf":
            raise Refused
        if array.size and bounds is not None and not bounds.admit(array.min().item(), array.max().item()):
            raise Refused  # NaN is never within bounds
        if dtype is None or array.dtype == dtype:
            return array
        if kinds == "iu" and array.size:
            limits = np.iinfo(dtype)
            if int(array.min()) < limits.min or int(array.max()) > limits.max:
                raise Refused
        return array.astype(dtype) if kinds == "iu" or array.dtype.kind != "f" else array

    fits = f" that fits {dtype}" if dtype is not None and kinds == "iu" else ""
    return Expectation(f"{noun}{fits}{bounds or ''}{shape or ''}", convert, DataError, shape)
