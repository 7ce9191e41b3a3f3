"""Tokenizer files: safetensors arrays with a JSON description in the metadata."""

import inspect
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from sidkit._files import UNSEALED, atomic_path, check_seal, seal
from sidkit.errors import FormatError

__all__ = [
    "by_level",
    "read_arrays",
    "read_tokenizer",
    "restored_parameters",
    "stored_parameters",
    "take",
    "take_levels",
    "write_arrays",
    "write_tokenizer",
]

_VERSION = 1
_FIELDS = {"method": str, "dim": int, "settings": dict, "fingerprint": str}


def write_tokenizer(
    path: str | os.PathLike[str], described: Mapping[str, Any], state: Mapping[str, npt.NDArray[Any]]
) -> None:
    """Write a tokenizer's description (method, dim, settings, fingerprint) and arrays, atomically."""
    write_arrays(path, "sidkit.tokenizer", described, state)


def read_tokenizer(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read what `write_tokenizer` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        FormatError: if the file is truncated, foreign, damaged or of another version.
    """
    described, state = read_arrays(path, "sidkit.tokenizer")
    for field, kind in _FIELDS.items():
        if not isinstance(described.get(field), kind):
            raise FormatError(
                f"{path} is damaged: expected a {kind.__name__} for `{field}`, got {described.get(field)!r}."
            )
    return described, state


def stored_parameters(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return constructor parameters with JSON types only; option objects become objects of their fields."""
    return {name: _stored(value) for name, value in params.items()}


def restored_parameters(estimator: Any, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that `stored_parameters` took from an object of the class `estimator`.

    Raises:
        ConfigError, TypeError: if an object does not have the fields of the option it is stored for.
    """
    hints = get_type_hints(estimator.__init__)
    defaults = {name: one.default for name, one in inspect.signature(estimator).parameters.items()}
    return {name: _restored(value, hints.get(name), defaults.get(name)) for name, value in stored.items()}


def _stored(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_stored(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def _restored(value: Any, hint: Any, default: Any) -> Any:
    if isinstance(value, list) and isinstance(default, tuple):
        return tuple(value)
    if isinstance(value, dict):
        for option in get_args(hint) or (hint,):
            if (
                isinstance(option, type)
                and is_dataclass(option)
                and value.keys() == {field.name for field in fields(option)}
            ):
                return option(**value)
        raise TypeError(f"no option has the fields {', '.join(value)}")
    return value


def write_arrays(
    path: str | os.PathLike[str],
    name: str,
    described: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
) -> None:
    """Write arrays and, under `name` in the metadata, a description with JSON types."""
    text = json.dumps({"version": _VERSION, **described})
    with atomic_path(path) as temporary:
        contiguous = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
        save_file(contiguous, temporary, {name: text, **UNSEALED})
        seal(temporary)


def read_arrays(
    path: str | os.PathLike[str], name: str
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read what `write_arrays` wrote under `name`, with the errors of `read_tokenizer`."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file at {path}")
    data = path.read_bytes()
    try:
        arrays = load(data)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise FormatError(
            f"{path} is damaged: expected a complete safetensors file, got: {error}. Save it again."
        ) from error
    check_seal(path)
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        text = header.get("__metadata__", {}).get(name)
    except (ValueError, AttributeError, RecursionError) as error:
        raise FormatError(f"{path} is damaged: expected a JSON header, got: {error}.") from error
    if text is None:
        raise FormatError(f"{path} is a foreign safetensors file: expected `{name}` in its metadata.")
    try:
        described = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise FormatError(f"{path} is damaged: expected JSON in its metadata, got: {error}.") from error
    version = described.get("version") if isinstance(described, dict) else None
    if type(version) is not int or version != _VERSION:
        raise FormatError(
            f"{path} has an unsupported version: expected {_VERSION}, got {version!r}. Save it with "
            "this version of sidkit."
        )
    return described, arrays


def take(
    state: Mapping[str, npt.NDArray[Any]],
    name: str,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike = np.float32,
) -> npt.NDArray[Any]:
    """Return one finite array of a file, or raise FormatError if its shape or dtype is wrong."""
    array = state.get(name)
    if array is None:
        raise FormatError(f"the array `{name}` is missing: expected {np.dtype(dtype)} {shape}.")
    if array.shape != shape or array.dtype != dtype:
        raise FormatError(
            f"the array `{name}` is invalid: expected {np.dtype(dtype)} {shape}, got {array.dtype} "
            f"{array.shape}."
        )
    if not np.isfinite(array).all():
        raise FormatError(f"the array `{name}` is invalid: expected finite values, got NaN or infinity.")
    return array


def by_level(name: str, arrays: Iterable[npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Name one array per level, for `take_levels`."""
    return {f"{name}.{level}": array for level, array in enumerate(arrays)}


def take_levels(
    state: Mapping[str, npt.NDArray[Any]], name: str, sizes: Sequence[int], width: int
) -> list[npt.NDArray[np.float32]]:
    """Return the arrays that `by_level` named, float32 (size, width), or raise FormatError."""
    return [take(state, f"{name}.{level}", (size, width)) for level, size in enumerate(sizes)]
