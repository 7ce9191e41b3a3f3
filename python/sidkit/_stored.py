"""Arrays of saved models in safetensors files, with declared names, types and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

from sidkit._files import atomic_path
from sidkit.errors import FormatError

__all__ = [
    "Stored",
    "arrays_of",
    "check_compressed_rows",
    "load_arrays",
    "read_stored",
    "restore_arrays",
    "write_stored",
]


#: Attributes that models save themselves.
_OTHERS = {"item_counts_", "removed_", "item_ids_", "sids_", "documents_"}


class Stored(NamedTuple):
    """An array of a saved model.

    Attributes:
        kind: abstract type of its numbers, such as `np.floating`.
        shape: name of each dimension; equal names have equal sizes in all arrays of a file.
        optional: whether some models do not have it.
    """

    kind: type[Any]
    shape: tuple[str, ...]
    optional: bool = False


def write_stored(file: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays to a safetensors file, whole or not at all."""
    with atomic_path(file) as temporary:
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        safetensors.numpy.save_file(contiguous, temporary)


def load_arrays(file: Path) -> dict[str, npt.NDArray[Any]]:
    """Read all arrays of a safetensors file.

    Raises:
        FormatError: if the file is missing or damaged.
    """
    try:
        return safetensors.numpy.load_file(file)
    except (OSError, SafetensorError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"`{file}` is not a readable safetensors file ({error}). Fit it again.") from error


def read_stored(file: Path, expected: Mapping[str, Stored], **sizes: int) -> dict[str, npt.NDArray[Any]]:
    """Read arrays from a safetensors file.

    Args:
        file: the file.
        expected: description of each array by name.
        **sizes: sizes of dimensions that are known.

    Raises:
        FormatError: if the file is missing or damaged, has other arrays, or holds NaN or infinity.
    """
    arrays = load_arrays(file)
    if not expected.keys() - _optional(expected) <= arrays.keys() <= expected.keys():
        raise FormatError(
            f"`{file}` has other arrays: expected {sorted(expected)}, got {sorted(arrays)[:10]}. Fit it "
            "again."
        )
    for name in [each for each in expected if each in arrays]:
        (kind, shape, _), found = expected[name], arrays[name]
        known = len(found.shape) == len(shape) and all(
            sizes.setdefault(dimension, size) == size
            for dimension, size in zip(shape, found.shape, strict=True)
        )
        if not known or not np.issubdtype(found.dtype, kind):
            described = ", ".join(str(sizes.get(dimension, dimension)) for dimension in shape)
            raise FormatError(
                f"`{name}` in `{file}` is damaged: expected {kind.__name__} ({described}), got {found.dtype} "
                f"{found.shape}. Fit it again."
            )
        if kind is np.floating and not np.isfinite(found).all():
            raise FormatError(
                f"`{name}` in `{file}` is damaged: expected finite numbers, got NaN or infinity. Fit it "
                "again."
            )
    return arrays


def arrays_of(model: Any, expected: Mapping[str, Stored] | None) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a model that are stored: attributes of these names.

    None stands for all arrays whose names end in `_`, except attributes of the class.
    """
    if expected is None:
        found = {name: value for name, value in vars(model).items() if isinstance(value, np.ndarray)}
        return {name: value for name, value in found.items() if _is_learned(type(model), name)}
    names = [name for name in expected if name in vars(model) or name not in _optional(expected)]
    return {name: getattr(model, name) for name in names}


def restore_arrays(model: Any, file: Path, expected: Mapping[str, Stored] | None, **sizes: int) -> None:
    """Set the attributes that `arrays_of` returns to what a file holds; see `read_stored`.

    Raises:
        FormatError: if the file is missing or damaged, or has other arrays.
    """
    arrays = load_arrays(file) if expected is None else read_stored(file, expected, **sizes)
    foreign = [name for name in arrays if expected is None and not _is_learned(type(model), name)]
    if foreign:
        raise FormatError(
            f"`{file}` has other arrays: expected names that end in `_`, got {foreign[0][:80]!r}. Fit it "
            "again."
        )
    vars(model).update(arrays)


def _is_learned(cls: type[Any], name: str) -> bool:
    return name.isidentifier() and name.endswith("_") and not hasattr(cls, name) and name not in _OTHERS


def _optional(expected: Mapping[str, Stored]) -> set[str]:
    return {name for name, stored in expected.items() if stored.optional}


def check_compressed_rows(
    file: Path,
    offsets: npt.NDArray[np.integer[Any]],
    columns: npt.NDArray[np.integer[Any]],
    width: int,
) -> None:
    """Check a sparse matrix in CSR format, whose arrays compiled code reads without any check.

    Args:
        file: where it comes from.
        offsets: first value of each row, and the number of values, (rows + 1,).
        columns: column of each value, (n,).
        width: number of columns.

    Raises:
        FormatError: if offsets or columns do not describe a matrix.
    """
    ascending = len(offsets) and offsets[0] == 0 and (offsets[1:] >= offsets[:-1]).all()
    if not ascending or offsets[-1] != len(columns):
        raise FormatError(
            f"`{file}` is damaged: expected offsets that ascend from 0 to {len(columns)}, got "
            f"{np.asarray(offsets[:5]).tolist()}…. Fit it again."
        )
    if len(columns) and not 0 <= columns.min() <= columns.max() < width:
        raise FormatError(
            f"`{file}` is damaged: expected columns from 0 to {width - 1}, got {columns.min()} to "
            f"{columns.max()}. Fit it again."
        )
    starts = np.zeros(len(columns) + 1, bool)
    starts[offsets] = True
    if not (starts[1:-1] | (columns[1:] > columns[:-1])).all():
        raise FormatError(
            f"`{file}` is damaged: expected the columns of each row in ascending order, got repeated or "
            "unordered ones. Fit it again."
        )
