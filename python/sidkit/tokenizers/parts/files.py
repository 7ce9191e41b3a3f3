"""The file of a tokenizer: safetensors arrays, described by JSON in the metadata."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from sidkit._files import atomic_path
from sidkit.errors import FormatError

__all__ = [
    "by_level",
    "read_arrays",
    "read_tokenizer",
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
    """Write a tokenizer's description (kind, dim, settings, fingerprint) and arrays, whole or not at all."""
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
            raise FormatError(f"{path} has no valid `{field}` in its description: {described.get(field)!r}")
    return described, state


def write_arrays(
    path: str | os.PathLike[str],
    name: str,
    described: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
) -> None:
    """Write arrays and, under `name` in the metadata, a description that JSON can hold."""
    text = json.dumps({"version": _VERSION, **described})
    with atomic_path(path) as temporary:
        save_file(
            {key: np.ascontiguousarray(array) for key, array in arrays.items()}, temporary, {name: text}
        )


def read_arrays(
    path: str | os.PathLike[str], name: str
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read what `write_arrays` wrote under `name`; the errors are those of `read_tokenizer`."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file at {path}")
    data = path.read_bytes()
    try:
        arrays = load(data)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise FormatError(f"{path} is not a whole safetensors file: {error}") from error
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    text = header.get("__metadata__", {}).get(name)
    if text is None:
        raise FormatError(f"{path} is a safetensors file, but holds no `{name}`")
    try:
        described = json.loads(text)
    except ValueError as error:
        raise FormatError(f"{path} has a damaged description: {error}") from error
    version = described.get("version") if isinstance(described, dict) else None
    if type(version) is not int or version != _VERSION:
        raise FormatError(f"{path} is of another version than {_VERSION}: {text[:80]}")
    return described, arrays


def take(
    state: Mapping[str, npt.NDArray[Any]],
    name: str,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike = np.float32,
) -> npt.NDArray[Any]:
    """One finite array of a file, or FormatError if it is not what it must be."""
    array = state.get(name)
    if array is None:
        raise FormatError(f"the file lacks the array `{name}`")
    if array.shape != shape or array.dtype != dtype:
        raise FormatError(
            f"the array `{name}` must be {np.dtype(dtype)} {shape}, but it is {array.dtype} {array.shape}"
        )
    if not np.isfinite(array).all():
        raise FormatError(f"the array `{name}` holds NaN or infinity")
    return array


def by_level(name: str, arrays: Iterable[npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Name an array a level, as `take_levels` finds them."""
    return {f"{name}.{level}": array for level, array in enumerate(arrays)}


def take_levels(
    state: Mapping[str, npt.NDArray[Any]], name: str, sizes: Sequence[int], width: int
) -> list[npt.NDArray[np.float32]]:
    """The arrays that `by_level` named, float32 (size, width), or FormatError if they are not so."""
    return [take(state, f"{name}.{level}", (size, width)) for level, size in enumerate(sizes)]
